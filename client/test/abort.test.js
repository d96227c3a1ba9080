// Signals and clocks: ended at once, wherever the call is, and nothing left behind.
import test from 'node:test';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { livekitJoin } from '../livekit-join.js';
import { JOINED, countingSignal, door, rejection } from '../testkit.js';

const never = () => new Promise(() => {});
const silent = () => {};
const headersOnly = (request, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.write('{"token"');
};

const places = {
  'during getAuthToken': { answer: { body: JOINED }, options: { getAuthToken: never } },
  'before the answer': { answer: silent, options: {} },
  'while the body comes': { answer: headersOnly, options: {} },
  'while waiting to try again': { answer: { status: 503, headers: { 'Retry-After': '5' } }, options: {} },
  'in a fetch that knows no signals': { answer: silent, options: { fetch: never } },
};

for (const [place, { answer, options }] of Object.entries(places)) {
  for (const owner of ['the call', 'the helper']) {
    test(`aborted ${place} by ${owner}`, async (t) => {
      const { url } = await door(t, answer);
      const controller = new AbortController();
      const { signal, count } = countingSignal(controller);
      const ask = livekitJoin(url, owner === 'the helper' ? { ...options, signal } : options);
      const pending = rejection(ask({}, owner === 'the call' ? { signal } : undefined));
      await sleep(150);
      assert.equal(count.now, 1, 'listens while it runs');
      const started = performance.now();
      controller.abort();
      const error = await pending;
      assert.ok(performance.now() - started < 100, 'at once');
      assert.equal(error.name, 'AbortError');
      assert.equal(error, signal.reason);
      assert.equal(count.now, 0, 'no listener left');
    });
  }
}

test('a wait that was aborted leaves no clock behind', async (t) => {
  const { url } = await door(t, { status: 503, headers: { 'Retry-After': '5' } });
  const clocks = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const controller = new AbortController();
  const pending = rejection(livekitJoin(url, { timeout: 0 })({}, { signal: controller.signal }));
  await sleep(150);
  const waiting = clocks();
  controller.abort();
  await pending;
  assert.equal(clocks(), waiting - 1);
});

test("the signal's own reason comes through", async (t) => {
  const { url } = await door(t, silent);
  const controller = new AbortController();
  const pending = rejection(livekitJoin(url)({}, { signal: controller.signal }));
  await sleep(50);
  const reason = new Error('left the page');
  controller.abort(reason);
  assert.equal(await pending, reason);
});

test('aborted before it begins: nobody is asked', async (t) => {
  const { url, requests } = await door(t, { body: JOINED });
  let asked = 0;
  const ask = livekitJoin(url, { getAuthToken: () => (asked++, 'a') });
  const error = await rejection(ask({}, { signal: AbortSignal.abort() }));
  assert.equal(error.name, 'AbortError');
  assert.equal(asked, 0);
  assert.equal(requests.length, 0);
});

test('no listener is left after success, failure and retries', async (t) => {
  const controller = new AbortController();
  const { signal, count } = countingSignal(controller);
  const good = await door(t, { status: 503 }, { body: JOINED });
  const bad = await door(t, { status: 403 });
  for (let i = 0; i < 3; i++) await livekitJoin(good.url, { signal })({}, { signal });
  await rejection(livekitJoin(bad.url, { signal })());
  assert.ok(count.ever >= 4);
  assert.equal(count.now, 0);
});

test('a timeout is one, is not tried again, and ends the request', async (t) => {
  let closed;
  const gone = new Promise((done) => (closed = done));
  const { url, requests } = await door(t, (request, response) => response.on('close', closed));
  const started = performance.now();
  const error = await rejection(livekitJoin(url, { timeout: 120 })());
  const took = performance.now() - started;
  assert.equal(error.code, 'timeout');
  assert.equal(error.status, 0);
  assert.ok(took >= 115 && took < 600, `${took} ms`);
  await gone;
  assert.equal(requests.length, 1);
});

for (const place of ['during getAuthToken', 'while the body comes']) {
  test(`timeout ${place}`, async (t) => {
    const { answer, options } = places[place];
    const { url } = await door(t, answer);
    assert.equal((await rejection(livekitJoin(url, { ...options, timeout: 80 })())).code, 'timeout');
  });
}

test('the clock is per attempt', async (t) => {
  const slow = (status) => (request, response) => setTimeout(() => response.writeHead(status).end(JSON.stringify(JOINED)), 250);
  const { url } = await door(t, slow(503), slow(200));
  assert.equal((await livekitJoin(url, { timeout: 400 })()).participantToken, JOINED.token);
});

for (const timeout of [0, Infinity, 2 ** 40]) {
  test(`timeout ${timeout} sets no clock`, async (t) => {
    const { url } = await door(t, (request, response) => setTimeout(() => response.end(JSON.stringify(JOINED)), 60));
    assert.equal((await livekitJoin(url, { timeout })()).participantToken, JOINED.token);
  });
}
