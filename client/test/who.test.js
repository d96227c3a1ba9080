// Devices, guests, and the invitation in the page's address.
import test from 'node:test';
import assert from 'node:assert/strict';
import { TokenSource } from 'livekit-client';
import { livekitJoin, takeInvitation } from '../livekit-join.js';
import { JOINED, door, rejection } from '../testkit.js';

const GUEST = 'guest-id-of-one-tab';
const SECRET = 'invite_Abc-123_xyz';

/** A tab's storage, as far as the helper uses it. */
function storage(t, items = {}) {
  const kept = new Map(Object.entries(items));
  const own = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
  replaceGlobal(t, 'sessionStorage', { value: own });
  return kept;
}

function replaceGlobal(t, name, property) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { configurable: true, ...property });
  t.after(() => (before ? Object.defineProperty(globalThis, name, before) : delete globalThis[name]));
}

test('join: device and guest go out under their names; a guest needs no room', async (t) => {
  const { url, requests } = await door(t, { body: JOINED });
  await livekitJoin(url, { device: 'phone_2' })({ roomName: 'demo' });
  await livekitJoin(url, { guest: GUEST, getAuthToken: () => SECRET })({ participantName: 'Gwen' });
  await livekitJoin(url, { guest: GUEST })();
  assert.deepEqual(requests.map((each) => each.body), [
    { room: 'demo', device: 'phone_2' },
    { username: 'Gwen', guest: GUEST },
    { guest: GUEST },
  ]);
  assert.equal(requests[1].headers.authorization, `Bearer ${SECRET}`);
});

test('token: device and guest go out as attributes, beside the caller’s own, which stay as they are', async (t) => {
  const { tokenUrl, requests } = await door(t, { status: 201, body: JOINED });
  const participantAttributes = Object.freeze({ seat: '7', device: 'asked for in the call' });
  const request = { roomName: 'r', participantAttributes };
  await livekitJoin(tokenUrl, { device: 'phone' })(request);
  await livekitJoin(tokenUrl, { guest: GUEST })();
  assert.deepEqual(requests.map((each) => each.body), [
    { room_name: 'r', participant_attributes: { seat: '7', device: 'phone' } },
    { participant_attributes: { guest: GUEST } },
  ]);
  assert.deepEqual(request, { roomName: 'r', participantAttributes: { seat: '7', device: 'asked for in the call' } });
});

for (const nothing of [null, undefined, '', false]) {
  test(`${JSON.stringify(nothing)} is no device and no guest`, async (t) => {
    const { url, tokenUrl, requests } = await door(t, { body: JOINED });
    for (const address of [url, tokenUrl]) await livekitJoin(address, { device: nothing, guest: nothing })();
    assert.deepEqual(requests.map((each) => each.body), [{}, {}]);
  });
}

test('what the door would refuse is refused at once, and not quoted', () => {
  const bad = [
    ...['a'.repeat(33), 'my phone', 'phöne', 'phone\n', true, 7, {}].map((device) => ({ device })),
    ...['a'.repeat(15), 'a'.repeat(65), 'hunter2 hunter2 hunter2', 7, {}].map((guest) => ({ guest })),
  ];
  for (const options of bad) {
    assert.throws(() => livekitJoin('/x', options), (error) => error instanceof TypeError && /^livekitJoin: (device|guest)/.test(error.message) && !/hunter2|phöne/.test(error.stack));
  }
});

test('guest: true is one random id per tab, the same for every call and every helper', async (t) => {
  const kept = storage(t);
  const { url, requests } = await door(t, { body: JOINED });
  const ask = livekitJoin(url, { guest: true });
  await ask();
  await Promise.all([ask(), livekitJoin(url, { guest: true })()]);
  const ids = new Set(requests.map((each) => each.body.guest));
  assert.equal(ids.size, 1);
  const [id] = ids;
  assert.match(id, /^[A-Za-z0-9_-]{16,64}$/);
  assert.deepEqual([...kept], [['stagedoor-guest', id]]);
});

test('guest: true takes up what the tab kept, and replaces what is none', async (t) => {
  const kept = storage(t, { 'stagedoor-guest': GUEST });
  const { url, requests } = await door(t, { body: JOINED });
  await livekitJoin(url, { guest: true })();
  kept.set('stagedoor-guest', '<script>');
  await livekitJoin(url, { guest: true })();
  assert.equal(requests[0].body.guest, GUEST);
  assert.match(requests[1].body.guest, /^[0-9a-f]{32}$/);
  assert.equal(kept.get('stagedoor-guest'), requests[1].body.guest);
});

for (const [name, property] of Object.entries({
  missing: { value: undefined },
  forbidden: {
    get() {
      throw new DOMException('denied', 'SecurityError');
    },
  },
  full: {
    value: {
      getItem: () => null,
      setItem() {
        throw new DOMException('full', 'QuotaExceededError');
      },
    },
  },
})) {
  test(`guest: true where storage is ${name}: one id as long as the page lives`, async (t) => {
    replaceGlobal(t, 'sessionStorage', property);
    const { url, requests } = await door(t, { body: JOINED });
    await livekitJoin(url, { guest: true })();
    await livekitJoin(url, { guest: true })();
    assert.match(requests[0].body.guest, /^[A-Za-z0-9_-]{16,64}$/);
    assert.equal(requests[0].body.guest, requests[1].body.guest);
  });
}

test('what a moderator, an inviter and a limited visit are told comes in, and through LiveKit’s token source', async (t) => {
  const { url } = await door(t, { body: { ...JOINED, moderate: true, invite: true, sessionLeft: 5400 } });
  const details = await livekitJoin(url)({ roomName: 'demo' });
  assert.deepEqual([details.moderate, details.invite, details.sessionLeft], [true, true, 5400]);
  const { serverUrl, participantToken } = await TokenSource.custom(livekitJoin(url, { guest: GUEST })).fetch({ roomName: 'demo' });
  assert.deepEqual([serverUrl, participantToken], [JOINED.url, JOINED.token]);
});

test('none of them is there where the answer says nothing, or nonsense', async (t) => {
  const { url } = await door(t, { body: JOINED }, { body: { ...JOINED, moderate: 'yes', invite: false, sessionLeft: '5400' } });
  for (let call = 0; call < 2; call++) {
    const details = await livekitJoin(url)();
    for (const key of ['moderate', 'invite', 'sessionLeft']) assert.equal(key in details, false, key);
  }
});

test('a server that quotes an invitation or a guest’s id does not get them into an error', async (t) => {
  const { url } = await door(t, { status: 401, body: { error: `no ${SECRET} for ${GUEST}`, code: 'invalid_token', requestId: GUEST } });
  const error = await rejection(livekitJoin(url, { getAuthToken: () => SECRET, guest: GUEST })());
  assert.equal(error.message, 'no [redacted] for [redacted]');
  assert.equal(error.requestId, '[redacted]');
});

for (const [hash, secret, left] of [
  [`#invite=${SECRET}`, SECRET, '/join?x=y'],
  [`#lang=de&invite=${SECRET}`, SECRET, '/join?x=y#lang=de'],
  [`#invite=${SECRET}&lang=de`, SECRET, '/join?x=y#lang=de'],
  [`#a=b&invite=${SECRET}&c=d`, SECRET, '/join?x=y#a=b&c=d'],
  ['', null],
  ['#', null],
  ['#invite=', null],
  ['#invite=somebody', null],
  ['#invite=invite_a%20b', null],
  [`#uninvite=${SECRET}`, null],
]) {
  test(`an address that ends in "${hash}" holds ${secret ? 'an invitation, and then no more' : 'no invitation'}`, (t) => {
    const calls = [];
    replaceGlobal(t, 'history', { value: { state: { own: 1 }, replaceState: (...call) => calls.push(call) } });
    assert.equal(takeInvitation({ hash, pathname: '/join', search: '?x=y' }), secret);
    assert.deepEqual(calls, secret ? [[{ own: 1 }, '', left]] : []);
  });
}

test('takeInvitation reads the page’s own address, and where there is no page finds nothing', (t) => {
  assert.equal(takeInvitation(), null);
  replaceGlobal(t, 'location', { value: new URL(`https://page.example/#invite=${SECRET}`) });
  assert.equal(takeInvitation(), SECRET);
});
