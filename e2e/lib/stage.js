// A door that takes its callers by JWT_SECRET and asks the double what they paid.
import { SignJWT } from 'jose';
import { startCustomer } from './customer.js';
import { post, startLiveKit, startServe } from './door.js';
import { freePort } from './program.js';
import { startStripe } from './stripe-double.js';

const CALLERS = 'e2e-only-callers-3kVb9QwXz7LrT2mNc5Hy8JdF';

/** A caller's token as an application signs it. */
export function callerToken(subject, claims = {}) {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setSubject(subject).setIssuedAt().setExpirationTime('1h').sign(new TextEncoder().encode(CALLERS));
}

/** What such a door is told. */
export function settings(livekit, stripe, environment = {}) {
  return {
    LIVEKIT_URL: livekit.url, LIVEKIT_API_KEY: livekit.key, LIVEKIT_API_SECRET: livekit.secret, JWT_SECRET: CALLERS,
    STRIPE_SECRET_KEY: stripe.key, STRIPE_WEBHOOK_SECRET: stripe.secret, STRIPE_API_URL: stripe.url, ...environment,
  };
}

/** Starts a door in front of a LiveKit server and a double, which sends its events there. An empty variable is left out. */
export async function startPaidDoor(livekit, stripe, environment = {}) {
  const all = Object.entries(settings(livekit, stripe, environment)).filter(([, value]) => value !== '');
  const door = await startServe(Object.fromEntries(all));
  stripe.delivery.url = `${door.url}/webhooks/stripe`;
  return {
    ...door,
    kill: () => door.program.kill(),
    /** Joins and gives the answer's body, which must be a token's. */
    async join(token, room = 'stage') {
      const answer = await post(`${door.url}/api/join`, token, { room });
      if (answer.status !== 200) throw new Error(`POST /api/join: ${answer.status} ${answer.text}`);
      return answer.body;
    },
    /** Whether a caller may publish: true, or why not. */
    async publishes(token) {
      const { permissions, publishDenied } = await this.join(token);
      return permissions.canPublish || publishDenied;
    },
    /** Asks the operators' API and gives the answer's body. */
    async operate(method, path, body) {
      const answer = await fetch(`${door.admin}${path}`, { method, ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return path === '/api/sync' ? text.trim().split('\n').map((line) => JSON.parse(line)) : JSON.parse(text);
    },
    billing() {
      return this.operate('GET', '/api/billing');
    },
    /** Waits until no hint is left unanswered. */
    async quiet(within = 10_000) {
      for (const end = Date.now() + within; ; ) {
        const { pending, eventsReadAt, comparedAt } = await this.billing();
        if (pending === 0 && eventsReadAt && comparedAt) return;
        if (Date.now() > end) throw new Error(`${pending} objects are still to be asked for after ${within} ms:\n${door.program.output.split('\n').filter((line) => /WARN|ERROR/.test(line)).join('\n')}`);
        await new Promise((done) => setTimeout(done, 50));
      }
    },
  };
}

/**
 * Everything for a call: a LiveKit server that tells the door who comes and goes, the double, the door, and a
 * customer's page. `restart` starts the door again at the same address.
 */
export async function startStage(environment = {}) {
  const port = await freePort();
  const livekit = await startLiveKit(`http://127.0.0.1:${port}/webhooks/livekit`);
  const stripe = await startStripe();
  const start = () => startPaidDoor(livekit, stripe, { LISTEN_ADDR: `127.0.0.1:${port}`, ...environment });
  const stage = { livekit, stripe, door: await start() };
  const customer = await startCustomer(() => ({ door: stage.door.url, livekit: livekit.url }));
  return Object.assign(stage, {
    page: customer.origin,
    async restart() {
      stage.door = await start();
    },
    async stop() {
      await stage.door.stop();
      await customer.stop();
      await stripe.stop();
      await livekit.stop();
    },
  });
}
