// Every way to be refused is a JoinError with a status and a code.
import test from 'node:test';
import assert from 'node:assert/strict';
import { livekitJoin, JoinError } from '../livekit-join.js';
import { JOINED, door, rejection } from '../testkit.js';

const HTML = '<html><body><h1>502 Bad Gateway</h1></body></html>';

async function failure(t, answer, options = {}) {
  const { url } = await door(t, answer);
  const error = await rejection(livekitJoin(url, { retries: 0, ...options })({ roomName: 'demo' }));
  assert.ok(error instanceof JoinError, String(error));
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'JoinError');
  return error;
}

test("the server's own words, code and request id", async (t) => {
  const error = await failure(t, {
    status: 401,
    headers: { 'X-Request-Id': 'from-header' },
    body: { error: 'Unauthorized: the token has expired', code: 'expired_token', requestId: 'req-1' },
  });
  assert.deepEqual(
    { status: error.status, code: error.code, message: error.message, retryAfter: error.retryAfter, requestId: error.requestId },
    { status: 401, code: 'expired_token', message: 'Unauthorized: the token has expired', retryAfter: undefined, requestId: 'req-1' },
  );
});

for (const [name, answer, code] of [
  ['proxy HTML, 502', { status: 502, body: HTML }, 'unavailable'],
  ['an empty 503', { status: 503 }, 'unavailable'],
  ['an empty 504', { status: 504 }, 'unavailable'],
  ['an empty 429', { status: 429 }, 'rate_limited'],
  ['proxy HTML, 403', { status: 403, body: HTML }, 'http_error'],
  ['JSON without a code, 401', { status: 401, body: { error: 'Unauthorized' } }, 'http_error'],
  ['a JSON list, 400', { status: 400, body: [1] }, 'http_error'],
  ['JSON null, 400', { status: 400, headers: { 'Content-Type': 'application/json' }, body: 'null' }, 'http_error'],
  ['a code that is none, 400', { status: 400, body: { code: '<script>' } }, 'http_error'],
  ['a code that is a boolean, 400', { status: 400, body: { code: true } }, 'http_error'],
]) {
  test(`${name} is ${code}`, async (t) => {
    const error = await failure(t, { ...answer, headers: { ...answer.headers, 'X-Request-Id': 'proxy-7' } });
    assert.equal(error.code, code);
    assert.equal(error.status, answer.status);
    assert.equal(error.requestId, 'proxy-7');
    assert.doesNotMatch(error.message, /<html|undefined/);
    assert.ok(error.message.length > 5);
  });
}

for (const [name, answer] of [
  ['204', { status: 204 }],
  ['an empty 200', { status: 200 }],
  ['200 HTML', { status: 200, body: HTML }],
  ['200 without a token', { status: 200, body: { ...JOINED, token: undefined } }],
  ['200 with an empty token', { status: 200, body: { ...JOINED, token: '' } }],
  ['200 with a token that is no string', { status: 200, body: { ...JOINED, token: 7 } }],
  ['201 without an address', { status: 201, body: { ...JOINED, url: undefined } }],
]) {
  test(`${name} is invalid_response`, async (t) => {
    const error = await failure(t, answer);
    assert.equal(error.code, 'invalid_response');
    assert.equal(error.status, answer.status);
  });
}

test('an answer cut short is a network error; a refusal cut short keeps its status', async (t) => {
  const cut = (status) => (request, response) => {
    response.writeHead(status, { 'Content-Length': 100 });
    response.write('{"error');
    setTimeout(() => response.destroy(), 20);
  };
  assert.equal((await failure(t, cut(200))).code, 'network_error');
  const refused = await failure(t, cut(403));
  assert.equal(refused.code, 'http_error');
  assert.equal(refused.status, 403);
});

test('nobody there is a network error with its cause', async (t) => {
  const { url } = await door(t, { body: JOINED });
  const error = await rejection(livekitJoin(url.replace(/:\d+/, ':1'), { retries: 0 })());
  assert.equal(error.code, 'network_error');
  assert.equal(error.status, 0);
  assert.ok(error.cause instanceof TypeError);
});

for (const [value, seconds] of [
  ['7', 7],
  ['0', 0],
  [' 12 ', 12],
  ['-3', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['', undefined],
]) {
  test(`Retry-After ${JSON.stringify(value)} is ${seconds}`, async (t) => {
    assert.equal((await failure(t, { status: 429, headers: { 'Retry-After': value } })).retryAfter, seconds);
  });
}

test("Retry-After as a date is read against the server's clock", async (t) => {
  const server = Date.parse('2020-01-01T00:00:00Z');
  const headers = { Date: new Date(server).toUTCString(), 'Retry-After': new Date(server + 30_000).toUTCString() };
  assert.equal((await failure(t, { status: 503, headers })).retryAfter, 30);
});

test('Retry-After as a date that has passed is 0', async (t) => {
  const headers = { 'Retry-After': new Date(Date.now() - 60_000).toUTCString() };
  assert.equal((await failure(t, { status: 503, headers })).retryAfter, 0);
});

test('Retry-After as a date, where the answer shows no Date', async () => {
  const fetch = async () => new Response('', { status: 503, headers: { 'Retry-After': new Date(Date.now() + 20_000).toUTCString() } });
  const error = await rejection(livekitJoin('http://127.0.0.1/', { fetch, retries: 0 })());
  assert.ok(error.retryAfter >= 18 && error.retryAfter <= 21, String(error.retryAfter));
});

test('what getAuthToken throws is the cause, and is not retried', async (t) => {
  const { url, requests } = await door(t, { body: JOINED });
  const cause = new Error('session with secret-value is over');
  for (const getAuthToken of [() => { throw cause; }, async () => { throw cause; }]) {
    let asked = 0;
    const error = await rejection(livekitJoin(url, { getAuthToken: () => (asked++, getAuthToken()) })());
    assert.equal(error.code, 'auth_failed');
    assert.equal(error.cause, cause);
    assert.doesNotMatch(error.message, /secret-value/);
    assert.equal(asked, 1);
  }
  assert.equal(requests.length, 0);
});

for (const bad of ['Bearer hunter2', 'hunter2\n', ' hunter2', '"hunter2"', 'hunter2é', { token: 'hunter2' }, 42]) {
  test(`a credential no header can carry is auth_failed: ${JSON.stringify(bad)}`, async (t) => {
    const { url, requests } = await door(t, { body: JOINED });
    const error = await rejection(livekitJoin(url, { getAuthToken: () => bad })());
    assert.equal(error.code, 'auth_failed');
    assert.doesNotMatch(`${error.message} ${error.stack} ${error.cause}`, /hunter2/);
    assert.equal(requests.length, 0);
  });
}

test('a server that quotes the credential does not get it into an error', async (t) => {
  const token = 'aaa.bbb+c/c.ddd==';
  const quote = { status: 401, body: { error: `bad token ${token} (${encodeURIComponent(token)})`, code: 'invalid_token', requestId: `r-${token}` } };
  const error = await failure(t, quote, { getAuthToken: () => token });
  assert.doesNotMatch(`${error.message} ${error.requestId} ${error.stack}`, /bbb/);
  assert.match(error.message, /^bad token \[redacted\]/);
});

test('nor one that was set as a header', async (t) => {
  const error = await failure(t, { status: 401, body: { error: 'no: Bearer own-secret' } }, { headers: { Authorization: 'Bearer own-secret' } });
  assert.equal(error.message, 'no: Bearer [redacted]');
});

test('a JoinError without a cause has none', async (t) => {
  assert.equal('cause' in (await failure(t, { status: 403 })), false);
});
