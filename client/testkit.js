// A door to test against: a real HTTP server whose answers a test writes down.
import http from 'node:http';
import { once } from 'node:events';

export const JOINED = {
  token: 'livekit.token.here',
  url: 'wss://live.example',
  ttl: 3600,
  room: 'demo',
  identity: 'alice',
  permissions: { canSubscribe: true, canPublish: true, canPublishData: true, canPublishSources: ['camera', 'microphone'] },
};

/**
 * Starts a door that gives `answers` in turn, the last one again and again.
 * An answer is {status, headers, body} or a function (request, response).
 * Gives its url and the requests it saw, each with the time it came, in ms.
 */
export async function door(t, ...answers) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    const at = performance.now();
    let body = '';
    for await (const chunk of request) body += chunk;
    requests.push({ at, method: request.method, path: request.url, headers: request.headers, body: body && JSON.parse(body) });
    const answer = answers[Math.min(requests.length, answers.length) - 1];
    if (typeof answer === 'function') return answer(request, response);
    const { status = 200, headers = {}, body: out = '' } = answer;
    const text = typeof out === 'string' ? out : JSON.stringify(out);
    response.writeHead(status, { 'Content-Type': typeof out === 'string' ? 'text/html' : 'application/json', ...headers });
    response.end(status === 204 ? undefined : text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return { origin, url: `${origin}/api/join`, tokenUrl: `${origin}/api/token`, requests };
}

/** The error a promise rejects with; fails the test where it does not. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

/** A signal that counts who listens to it. */
export function countingSignal(controller) {
  const { signal } = controller;
  const count = { now: 0, ever: 0 };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  const held = new Set();
  signal.addEventListener = (type, listener, options) => {
    held.add(listener);
    count.ever++;
    count.now = held.size;
    add(type, listener, options);
  };
  signal.removeEventListener = (type, listener, options) => {
    held.delete(listener);
    count.now = held.size;
    remove(type, listener, options);
  };
  return { signal, count };
}
