// The door itself: `stagedoor dev` with its LiveKit server, `stagedoor serve`,
// and a LiveKit server whose key the test knows.
import { existsSync } from 'node:fs';
import { leaksIn, refuseLeaks } from './canary.js';
import { LIVEKIT, Program, STAGEDOOR, freePort, listens } from './program.js';

/** Starts `stagedoor dev` on a free port and waits until it takes callers. */
export async function startDev(environment = {}) {
  const port = await freePort();
  const program = new Program(STAGEDOOR, ['dev'], { PORT: String(port), ...environment });
  await program.until(/Ctrl-C ends everything/);
  const url = `http://localhost:${port}`;
  const config = await (await fetch(`${url}/demo/config.json`)).json();
  const own = !environment.LIVEKIT_URL;
  const children = program.children();
  return {
    url,
    port,
    program,
    livekit: config.livekitUrl,
    /** Ctrl-C, after which neither the door nor its LiveKit server may be left. */
    async stop() {
      const livekitPort = new URL(config.livekitUrl).port;
      if (!(await listens(livekitPort))) throw new Error('the LiveKit server was gone before the end');
      await program.stop();
      const left = [];
      if (await listens(port)) left.push(`the door at port ${port}`);
      if (own && (await listens(livekitPort))) left.push(`the LiveKit server at port ${livekitPort}`);
      for (const child of children) if (existsSync(`/proc/${child}`)) left.push(`process ${child}`);
      if (left.length > 0) throw new Error(`stagedoor dev left behind: ${left.join(', ')}`);
    },
    children,
  };
}

/**
 * Starts `stagedoor serve` on free loopback ports, with a database of its own in the program's directory. It may not
 * be ready yet: its keys come from elsewhere.
 */
export async function startServe(environment) {
  const program = new Program(STAGEDOOR, ['serve'], {
    LISTEN_ADDR: '127.0.0.1:0', ADMIN_ADDR: '127.0.0.1:0', DATABASE_URL: 'sqlite:door.db', DRAIN_DELAY: '0s', LOG_FORMAT: 'json', ...environment,
  });
  const [, admin] = await program.until(/"operators are served","address":"([^"]+)"/);
  const [, address] = await program.until(/"stagedoor is listening","address":"([^"]+)"/);
  return { url: `http://${address}`, admin: `http://${admin}`, program, stop: () => endServe(program, `http://${admin}`) };
}

// What operators are shown must hold no secret either, whatever has happened before.
async function endServe(program, admin) {
  for (const page of ['/', '/metrics', '/api/live', '/api/bans', '/api/billing']) {
    const text = await fetch(`${admin}${page}`).then((answer) => answer.text(), () => '');
    refuseLeaks(leaksIn(page, text, { tokens: true }));
  }
  await program.stop();
}

/** A LiveKit server on loopback with keys that the test holds: for asking as the operator. Its events go to `webhook`, if named. */
export async function startLiveKit(webhook) {
  const [port, udp] = [await freePort(), await freePort()];
  const key = 'APIe2eOperator';
  const secret = 'e2e-only-9fGh2kLmN4pQrS6tUvW8xYz1-operator';
  const settings = [
    `port: ${port}`,
    'bind_addresses: ["127.0.0.1"]',
    `rtc: {tcp_port: 0, udp_port: ${udp}, node_ip: 127.0.0.1, use_external_ip: false, enable_loopback_candidate: true, interfaces: {includes: [lo]}, ips: {includes: [127.0.0.1/32]}}`,
    `keys: {${key}: ${secret}}`,
    'logging: {level: warn}',
    ...(webhook ? [`webhook: {api_key: ${key}, urls: [${webhook}]}`] : []),
  ].join('\n');
  const program = new Program(LIVEKIT, [], { LIVEKIT_CONFIG: settings });
  const api = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    const up = await fetch(api).then((answer) => answer.ok, () => false);
    if (up) break;
    if (tries === 200) throw new Error(`LiveKit does not answer:\n${program.output}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return { api, url: `ws://127.0.0.1:${port}`, key, secret, output: () => program.output, stop: () => program.kill() };
}

/** One POST with a caller's token; gives status, headers and the body read as JSON. */
export async function post(address, token, body, headers = {}) {
  const response = await fetch(address, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  refuseLeaks(leaksIn(address, text, { tokens: !response.ok }));
  let json = {};
  try {
    json = JSON.parse(text);
  } catch {
    // Twirp's own middleware answers in plain text.
  }
  return { status: response.status, headers: response.headers, text, ...{ body: json } };
}
