// What goes over the wire, and what comes back.
import test from 'node:test';
import assert from 'node:assert/strict';
import { livekitJoin, JoinError } from '../livekit-join.js';
import { JOINED, door, rejection } from '../testkit.js';

test('join: room and username out, everything in', async (t) => {
  const { url, requests } = await door(t, { body: { ...JOINED, publishDenied: 'policy' } });
  const details = await livekitJoin(url, { getAuthToken: () => 'caller-token' })({ roomName: 'demo', participantName: 'Alice' });
  assert.deepEqual(details, {
    serverUrl: JOINED.url,
    participantToken: JOINED.token,
    room: 'demo',
    identity: 'alice',
    permissions: JOINED.permissions,
    publishDenied: 'policy',
    ttl: 3600,
  });
  const [request] = requests;
  assert.equal(request.method, 'POST');
  assert.deepEqual(request.body, { room: 'demo', username: 'Alice' });
  assert.equal(request.headers.authorization, 'Bearer caller-token');
  assert.equal(request.headers['content-type'], 'application/json');
  assert.equal(request.headers.accept, 'application/json');
});

test('token: every option under its standard name', async (t) => {
  const { tokenUrl, requests } = await door(t, {
    status: 201,
    body: { server_url: 'wss://s', participant_token: 'p', room_name: 'r', participant_name: 'n' },
  });
  const details = await livekitJoin(tokenUrl)({
    roomName: 'r',
    participantName: 'n',
    participantIdentity: 'i',
    participantMetadata: 'm',
    participantAttributes: { a: 'b' },
    agentName: 'scribe',
    agentMetadata: 'am',
    deployment: 'blue',
  });
  assert.deepEqual(requests[0].body, {
    room_name: 'r',
    participant_name: 'n',
    participant_identity: 'i',
    participant_metadata: 'm',
    participant_attributes: { a: 'b' },
    room_config: { agents: [{ agent_name: 'scribe', metadata: 'am', deployment: 'blue' }] },
  });
  assert.deepEqual(details, { serverUrl: 'wss://s', participantToken: 'p', room: 'r', participantName: 'n' });
});

test('token: no agent, no room_config', async (t) => {
  const { tokenUrl, requests } = await door(t, { body: JOINED });
  await livekitJoin(tokenUrl)({ roomName: 'r', agentName: '', participantAttributes: {} });
  assert.deepEqual(requests[0].body, { room_name: 'r' });
});

for (const [form, body] of Object.entries({
  snake: { server_url: 'wss://s', participant_token: 'p' },
  camel: { serverUrl: 'wss://s', participantToken: 'p' },
  join: { url: 'wss://s', token: 'p' },
})) {
  for (const path of ['/api/join', '/api/token']) {
    test(`${path} takes an answer in ${form} form`, async (t) => {
      const { origin } = await door(t, { status: 201, body });
      assert.deepEqual(await livekitJoin(origin + path)(), { serverUrl: 'wss://s', participantToken: 'p' });
    });
  }
}

test('the protocol follows the path, and an option overrules it', async (t) => {
  const { url, tokenUrl, requests } = await door(t, { body: JOINED });
  await livekitJoin(new URL(`${tokenUrl}?v=1`))({ roomName: 'a' });
  await livekitJoin(url, { protocol: 'token' })({ roomName: 'b' });
  await livekitJoin(tokenUrl, { protocol: 'join' })({ roomName: 'c' });
  assert.deepEqual(requests.map((r) => r.body), [{ room_name: 'a' }, { room_name: 'b' }, { room: 'c' }]);
});

for (const option of ['participantIdentity', 'participantMetadata', 'participantAttributes', 'agentName', 'agentMetadata', 'deployment']) {
  test(`join refuses ${option} instead of dropping it`, async (t) => {
    const { url, requests } = await door(t, { body: JOINED });
    const value = option === 'participantAttributes' ? { a: 'b' } : 'x';
    const error = await rejection(livekitJoin(url)({ roomName: 'demo', [option]: value }));
    assert.ok(error instanceof JoinError);
    assert.equal(error.status, 0);
    assert.equal(error.code, 'field_not_allowed');
    assert.match(error.message, new RegExp(option));
    assert.match(error.message, /\/api\/token/);
    assert.equal(requests.length, 0);
    const empty = option === 'participantAttributes' ? {} : '';
    await livekitJoin(url)({ roomName: 'demo', [option]: empty });
    assert.deepEqual(requests[0].body, { room: 'demo' });
  });
}

test('an option nobody knows is refused in both protocols', async (t) => {
  const { url, tokenUrl, requests } = await door(t, { body: JOINED });
  for (const address of [url, tokenUrl]) {
    const error = await rejection(livekitJoin(address)({ room: 'demo' }));
    assert.equal(error.code, 'field_not_allowed');
    assert.match(error.message, /roomName/);
  }
  assert.equal(requests.length, 0);
});

for (const [form, headers] of Object.entries({
  Headers: new Headers({ 'X-Tenant': 'red' }),
  array: [['X-Tenant', 'red']],
  object: { 'X-Tenant': 'red' },
})) {
  test(`headers given as ${form} arrive`, async (t) => {
    const { url, requests } = await door(t, { body: JOINED });
    await livekitJoin(url, { headers, getAuthToken: () => 'a' })();
    assert.equal(requests[0].headers['x-tenant'], 'red');
    assert.equal(requests[0].headers.authorization, 'Bearer a');
  });
}

test('own headers cannot change the content type; the credential wins over an own Authorization', async (t) => {
  const { url, requests } = await door(t, { body: JOINED });
  await livekitJoin(url, { headers: { 'content-type': 'text/plain', authorization: 'Bearer old' }, getAuthToken: () => 'new' })();
  assert.equal(requests[0].headers['content-type'], 'application/json');
  assert.equal(requests[0].headers.authorization, 'Bearer new');
});

for (const nothing of [null, undefined, '']) {
  test(`getAuthToken gives ${JSON.stringify(nothing)}: no Authorization header`, async (t) => {
    const { url, requests } = await door(t, { body: JOINED });
    await livekitJoin(url, { getAuthToken: async () => nothing })();
    assert.equal('authorization' in requests[0].headers, false);
  });
}

test('what fetch is told: no cache, no redirect, same-origin cookies unless asked', async () => {
  const seen = [];
  const fetch = async (url, init) => {
    seen.push(init);
    return Response.json(JOINED);
  };
  await livekitJoin('http://127.0.0.1/api/join', { fetch })();
  await livekitJoin('http://127.0.0.1/api/join', { fetch, credentials: 'include' })();
  assert.deepEqual(
    seen.map(({ cache, redirect, credentials, method }) => ({ cache, redirect, credentials, method })),
    [
      { cache: 'no-store', redirect: 'error', credentials: 'same-origin', method: 'POST' },
      { cache: 'no-store', redirect: 'error', credentials: 'include', method: 'POST' },
    ],
  );
});

test('a redirect is not followed, so the credential stays here', async (t) => {
  const elsewhere = await door(t, { body: JOINED });
  const { url } = await door(t, { status: 307, headers: { Location: elsewhere.url } });
  const error = await rejection(livekitJoin(url, { getAuthToken: () => 'secret', retries: 0 })());
  assert.equal(error.code, 'network_error');
  assert.equal(elsewhere.requests.length, 0);
});

test('a relative URL is resolved against the page, at the call', async (t) => {
  const { origin, requests } = await door(t, { body: JOINED });
  const ask = livekitJoin('/api/join');
  assert.equal((await rejection(ask())).code, 'invalid_url');
  globalThis.location = { href: `${origin}/rooms/1?x=y` };
  t.after(() => delete globalThis.location);
  await ask();
  await livekitJoin('join')();
  assert.deepEqual(requests.map((r) => r.path), ['/api/join', '/rooms/join']);
});

for (const url of ['ftp://127.0.0.1/api/join', 'http://', 'http://user:pass@127.0.0.1/api/join']) {
  test(`${url.slice(0, 7)}… is an invalid_url`, async () => {
    const error = await rejection(livekitJoin(url)());
    assert.equal(error.code, 'invalid_url');
    assert.equal(error.status, 0);
    assert.doesNotMatch(error.message, /pass@/);
  });
}

test('options that can never work are refused at once, without quoting a header', () => {
  const bad = [
    [undefined, {}],
    ['/x', { getAuthToken: 'token' }],
    ['/x', { fetch: 1 }],
    ['/x', { protocol: 'grpc' }],
    ['/x', { timeout: -1 }],
    ['/x', { timeout: NaN }],
    ['/x', { retries: 1.5 }],
    ['/x', { retries: -1 }],
  ];
  for (const [url, options] of bad) assert.throws(() => livekitJoin(url, options), TypeError);
  assert.throws(
    () => livekitJoin('/x', { headers: { 'X-Key': 'se\ncret' } }),
    (error) => error instanceof TypeError && /^livekitJoin: headers/.test(error.message) && !/cret/.test(error.stack),
  );
});
