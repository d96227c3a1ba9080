// Which failures are tried again, when, and with what credential.
import test from 'node:test';
import assert from 'node:assert/strict';
import { livekitJoin } from '../livekit-join.js';
import { JOINED, door, rejection } from '../testkit.js';

const OK = { body: JOINED };
const drop = (request) => request.socket.destroy();

for (const [name, first] of [
  ['502', { status: 502 }],
  ['503', { status: 503 }],
  ['504', { status: 504 }],
  ['429 with Retry-After 0', { status: 429, headers: { 'Retry-After': '0' } }],
  ['a dropped connection', drop],
]) {
  test(`${name} is tried again, with a fresh credential`, async (t) => {
    const { url, requests } = await door(t, first, OK);
    let asked = 0;
    const details = await livekitJoin(url, { getAuthToken: async () => `token-${++asked}` })({ roomName: 'demo' });
    assert.equal(details.participantToken, JOINED.token);
    assert.deepEqual(requests.map((r) => r.headers.authorization), ['Bearer token-1', 'Bearer token-2']);
    assert.deepEqual(requests[1].body, { room: 'demo' });
  });
}

for (const [name, first] of [
  ['400', { status: 400 }],
  ['401', { status: 401 }],
  ['403', { status: 403, headers: { 'Retry-After': '0' } }],
  ['409', { status: 409 }],
  ['500', { status: 500 }],
  ['501', { status: 501 }],
  ['429 without Retry-After', { status: 429 }],
  ['429 with Retry-After 6', { status: 429, headers: { 'Retry-After': '6' } }],
  ['503 with Retry-After 120', { status: 503, headers: { 'Retry-After': '120' } }],
  ['a 200 without a token', { status: 200, body: {} }],
]) {
  test(`${name} is not tried again`, async (t) => {
    const { url, requests } = await door(t, first, OK);
    await rejection(livekitJoin(url)());
    assert.equal(requests.length, 1);
  });
}

test('two further attempts by default, then the last error; the wait grows', async (t) => {
  const { url, requests } = await door(t, { status: 503, body: { code: 'unavailable', error: 'draining' } });
  t.mock.method(Math, 'random', () => 0.5);
  const error = await rejection(livekitJoin(url)());
  assert.equal(error.status, 503);
  assert.equal(error.message, 'draining');
  assert.equal(requests.length, 3);
  const [first, second] = [requests[1].at - requests[0].at, requests[2].at - requests[1].at];
  assert.ok(first >= 299 && first < 599, `first wait ${first} ms`);
  assert.ok(second >= 599 && second < 1500, `second wait ${second} ms`);
});

test('retries: 0 and 1', async (t) => {
  for (const retries of [0, 1]) {
    const { url, requests } = await door(t, drop);
    assert.equal((await rejection(livekitJoin(url, { retries })())).code, 'network_error');
    assert.equal(requests.length, retries + 1);
  }
});

test('Retry-After is a lower bound', async (t) => {
  const { url, requests } = await door(t, { status: 429, headers: { 'Retry-After': '1' } }, OK);
  await livekitJoin(url)();
  const waited = requests[1].at - requests[0].at;
  assert.ok(waited >= 1000 && waited < 2500, `waited ${waited} ms`);
});

test('waits are jittered', async (t) => {
  const waits = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const { url, requests } = await door(t, { status: 503 }, OK);
      await livekitJoin(url)();
      return requests[1].at - requests[0].at;
    }),
  );
  assert.ok(Math.max(...waits) - Math.min(...waits) > 15, waits.join(' '));
});
