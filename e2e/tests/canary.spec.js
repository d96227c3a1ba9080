// No secret leaks. That is asked of every door that any test starts, at its
// end: of its log, its files, what operators are shown, and every answer. Here
// is whether the question would be answered with yes, and what no other test
// brings about.
import { SignJWT } from 'jose';
import { formsOf, guard, leaksIn } from '../lib/canary.js';
import { post, startServe } from '../lib/door.js';
import { expect, test } from '../lib/test.js';

const CANARY = 'canary?7Rk+2Lq/9Zx-4Mw_5Tn/"8Vb';

test('every form of a secret is seen, wherever it stands', () => {
  guard({ CANARY_SECRET: CANARY });
  for (const [form, text] of formsOf(CANARY)) {
    expect(leaksIn('a log', `before ${text} after`), form).not.toEqual([]);
  }
  for (const before of ['', 'a', 'ab', 'abc']) {
    const inside = Buffer.from(`${before}${CANARY}xyz`);
    for (const alphabet of ['base64', 'base64url']) expect(leaksIn('a log', `{"x":"${inside.toString(alphabet)}"}`), `${before} ${alphabet}`).not.toEqual([]);
  }
  expect(leaksIn('a log', CANARY.slice(1))).toEqual([]);
  expect(leaksIn('a log', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln', { tokens: true })).toEqual(['a log: a token, at 7']);
  expect(leaksIn('a log', CANARY)[0]).not.toContain(CANARY);
});

const SECRETS = {
  LIVEKIT_API_SECRET: 'canary-livekit-3kVb9QwXz7LrT2mNc5Hy8JdF', LIVEKIT_API_SECRET_PREVIOUS: 'canary-livekit-before-8JdF3kVb9QwXz7LrT2m',
  JWT_SECRET: 'canary-callers-9QwXz7LrT2mNc5Hy8JdF3kVb', JWT_SECRET_PREVIOUS: 'canary-callers-before-Hy8JdF3kVb9QwXz7LrT2',
  ADMIN_TOKEN: 'canary-operators-T2mNc5Hy8JdF3kVb9QwXz7Lr', ADMIN_TOKEN_PREVIOUS: 'canary-operators-before-c5Hy8JdF3kVb9QwXz7',
  STRIPE_SECRET_KEY: 'sk_test_51Canary3kVb9QwXz7LrT2mNc5Hy8JdF', STRIPE_WEBHOOK_SECRET: 'whsec_canary3kVb9QwXz7LrT2mNc5Hy8JdF,whsec_canaryHy8JdF3kVb9QwXz7LrT2m',
};

test('secrets and tokens sent to every address in every place, and a trace of the whole process', async () => {
  const door = await startServe({
    LIVEKIT_URL: 'ws://127.0.0.1:9', LIVEKIT_API_KEY: 'APIcanary', LIVEKIT_API_KEY_PREVIOUS: 'APIcanaryBefore', STRIPE_API_URL: 'http://127.0.0.1:9',
    ADMIN_ON_PUBLIC: 'true', LOG_LEVEL: 'debug', ...SECRETS,
  });
  const caller = await new SignJWT({ name: 'Ann' }).setProtectedHeader({ alg: 'HS256' }).setSubject('ann').setExpirationTime('1h').sign(new TextEncoder().encode(SECRETS.JWT_SECRET));
  const bad = [...Object.values(SECRETS).flatMap((each) => each.split(',')), `${caller}x`, `x.${caller}`, caller];
  for (const address of ['/api/join', '/api/token', '/api/moderate', '/api/invites', '/webhooks/stripe', '/webhooks/livekit', '/admin/api/bans', '/admin/api/explain', '/healthz', '/readyz', '/nowhere']) {
    for (const value of bad) {
      await post(`${door.url}${address}`, value, { room: value, username: value, user: value, [value]: value });
      await post(`${door.url}${address}/${encodeURIComponent(value)}/x`, caller, {});
      await post(`${door.url}${address}?access_token=${encodeURIComponent(value)}`, caller, `{"room":"${value}`);
      await post(`${door.url}${address}`, '', value, { 'Stripe-Signature': `t=1,v1=${value}`, 'X-Request-Id': value, Origin: `https://${value}.example`, Cookie: `session=${value}`, Traceparent: value });
    }
  }
  const { status } = await post(`${door.url}/api/join`, caller, { room: 'r' });
  expect(status).toBe(200);
  door.program.child.kill('SIGQUIT');
  await door.program.ended;
  expect(door.program.output).toContain('goroutine');
  expect(door.program.leaks).toEqual([]);
});
