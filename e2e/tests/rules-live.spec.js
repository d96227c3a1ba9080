// Rules in the call: what may be published by plan, a file that changes, time that ends, guests and moderators.
import { post } from '../lib/door.js';
import { report } from '../lib/figures.js';
import { participants } from '../lib/operator.js';
import { watchRefresh } from '../lib/people.js';
import { startRuledStage } from '../lib/rules.js';
import { callerToken } from '../lib/stage.js';
import { expect, test } from '../lib/test.js';

const RULES = `rooms:
  - name: stage
    room: "stage-{n}"
    publish: "true"
    sources:
      camera: "'publish' in features"
      screen_share: "'publish:screen' in features"
  - {name: short, room: "short-{n}", max_session: 1m}
  - name: club
    room: "club-{n}"
    publish: "true"
    moderate: "claims.role == 'host'"
    invite: "claims.role == 'host'"
    remove_for: 2m
`;

// What livekit-client says on the console when the server puts somebody out.
const putOut = { allow: [/DataChannel error|data channel .* closed unexpectedly/, /WebSocket|signal|refused|Unauthorized|connection/i, /add a track for a participant, that's not present/] };

let stage;
test.beforeAll(async () => {
  stage = await startRuledStage(RULES);
});
test.afterAll(() => stage.stop());

const ask = (token, room, more = {}) => post(`${stage.door.url}/api/join`, token, { room, ...more });
const noted = (page, what, within = 5000, after = 0) => page.evaluate(([...args]) => window.customer.noted(...args), [what, after, within]);

async function enter(page, answer) {
  expect(answer.status, answer.text).toBe(200);
  await page.goto(stage.page);
  await page.waitForFunction(() => window.customer);
  return page.evaluate((given) => window.customer.connect(given), { serverUrl: answer.body.url, participantToken: answer.body.token });
}

test('the plan says what may be published, LiveKit holds it, and it changes in the call', async ({ person }) => {
  const page = await person(putOut);
  const customer = stage.stripe.customer({ metadata: { user_id: 'ann' } });
  const small = stage.stripe.subscribe(customer, stage.stripe.plan('publish'));
  await stage.stripe.delivery.settled();
  await stage.door.quiet();
  const answer = await ask(await callerToken('ann'), 'stage-1');
  expect(answer.body.permissions).toMatchObject({ canPublish: true, canPublishSources: ['camera'] });
  await enter(page, answer);
  expect(await page.evaluate(() => window.customer.publishAs('camera'))).toBeNull();
  expect(await page.evaluate(() => window.customer.publishAs('screen_share')), 'LiveKit takes no screen').not.toBeNull();

  const bought = Date.now();
  const large = stage.stripe.subscribe(customer, stage.stripe.plan('publish,publish:screen'));
  const more = await noted(page, { what: 'permissions', sources: 'camera screen_share' });
  expect(more).not.toBeNull();
  expect(await page.evaluate(() => window.customer.publishAs('screen_share'))).toBeNull();
  await expect.poll(async () => (await participants(stage.livekit, 'stage-1'))[0].tracks.sort()).toEqual(['CAMERA', 'SCREEN_SHARE']);

  const ended = Date.now();
  stage.stripe.cancel(large);
  await expect.poll(async () => (await participants(stage.livekit, 'stage-1'))[0].tracks).toEqual(['CAMERA']);
  stage.stripe.cancel(small);
  await expect.poll(async () => (await participants(stage.livekit, 'stage-1'))[0]).toMatchObject({ canPublish: false, tracks: [] });
  report('sources', `bought: the browser knows after ${more.at - bought} ms; both plans over: all closed ${Date.now() - ended} ms after the first`);
});

test('a file that changes is in force in the call; a bad one changes nothing and is reported', async ({ person }) => {
  const page = await person(putOut);
  const token = await callerToken('ben');
  await enter(page, await ask(token, 'club-2'));
  expect(await page.evaluate(() => window.customer.own())).toMatchObject({ canPublish: true });

  stage.rules.change(RULES.replace('room: "club-{n}"\n    publish: "true"', 'room: "club-{n}"\n    publish: "claims.roel == \'host\'"\n    publsh: "true"'));
  await stage.door.program.until(/publsh: there is no such key/);
  expect((await ask(token, 'club-2')).body.permissions.canPublish, 'the old file is in force').toBe(true);

  const changed = Date.now();
  stage.rules.change(RULES.replace('room: "club-{n}"\n    publish: "true"', 'room: "club-{n}"\n    publish: "false"'));
  const closed = await noted(page, { what: 'permissions', canPublish: false });
  expect(closed).not.toBeNull();
  report('policy file', `closed in the call ${closed.at - changed} ms after the file changed`);
  stage.rules.change(RULES);
  expect(await noted(page, { what: 'permissions', canPublish: true })).not.toBeNull();
  stage.rules.change(RULES.replace('room: "club-{n}"', 'room: "klub-{n}"'));
  expect(await noted(page, { what: 'disconnected' }), 'no rule is about the room any more').toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  stage.rules.change(RULES);
  await expect.poll(async () => (await ask(token, 'club-2')).status).toBe(200);
});

test('time in a room ends, however often one comes back, and begins anew with the room', async ({ person }) => {
  test.setTimeout(180_000);
  const [page, tablet] = [await person(putOut), await person(putOut)];
  const token = await callerToken('dan');
  const refreshed = watchRefresh(page);
  const first = await ask(token, 'short-1');
  expect(first.body.sessionLeft).toBe(60);
  expect(first.body.ttl).toBe(60);
  await enter(page, first);
  const begun = Date.now();
  await expect.poll(() => page.evaluate(() => window.customer.state.data[0]?.topic)).toBe('stagedoor');
  const warning = await page.evaluate(() => window.customer.state.data[0]);
  expect(JSON.parse(warning.text)).toMatchObject({ event: 'session_ending' });
  expect(JSON.parse(warning.text).secondsLeft).toBeGreaterThan(55);

  await page.waitForTimeout(10_000);
  await page.evaluate(() => window.customer.leave());
  const again = await ask(token, 'short-1');
  expect(again.body.sessionLeft).toBeLessThan(51);
  await enter(page, again);
  await expect.poll(() => page.evaluate(() => window.customer.state.data.length), { timeout: 8000 }).toBe(1);
  expect(await noted(page, { what: 'disconnected' }, 60_000)).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  const lasted = Date.now() - begun;
  report('max_session', `1 min, with a reconnect at 10 s: put out ${lasted - 60_000} ms after the minute`);
  expect(lasted).toBeGreaterThan(57_000);
  expect(lasted).toBeLessThan(64_000);
  expect((await ask(token, 'short-1')).body).toMatchObject({ code: 'session_over' });

  // LiveKit still takes the token that it refreshed; the door does not let it stay.
  const old = refreshed.at(-1);
  expect(old, 'LiveKit refreshed a token').toBeTruthy();
  await tablet.goto(stage.page);
  await tablet.waitForFunction(() => window.customer);
  await tablet.evaluate((given) => window.customer.refusal(() => window.customer.connect(given)), { serverUrl: first.body.url, participantToken: old });
  await expect.poll(() => participants(stage.livekit, 'short-1'), { timeout: 10_000 }).toEqual([]);

  // The room closes twenty seconds after the last has left.
  await expect.poll(async () => (await ask(token, 'short-1')).status, { timeout: 60_000, intervals: [1000] }).toBe(200);
});

test('a moderator mutes and removes; whoever was removed stays out with every token', async ({ person }) => {
  const [host, guest] = [await person(putOut), await person(putOut)];
  const [hosts, guests] = [await callerToken('eva', { role: 'host' }), await callerToken('fred')];
  const moderate = (token, body) => post(`${stage.door.url}/api/moderate`, token, { room: 'club-3', ...body });
  const refreshed = watchRefresh(guest);
  await enter(host, await ask(hosts, 'club-3'));
  const admitted = await ask(guests, 'club-3');
  await enter(guest, admitted);
  await guest.evaluate(() => window.customer.microphone());

  expect((await moderate(guests, { identity: 'eva', action: 'remove' })).body).toMatchObject({ code: 'room_forbidden' });
  expect((await moderate(hosts, { identity: 'nobody', action: 'mute' })).body).toMatchObject({ code: 'not_found' });
  expect((await moderate(hosts, { identity: 'eva', action: 'remove' })).body).toMatchObject({ code: 'identity_not_allowed' });
  expect((await moderate(hosts, { identity: 'fred', action: 'mute' })).body).toMatchObject({ action: 'mute', muted: 1 });
  expect(await noted(host, { what: 'muted', who: 'fred' })).not.toBeNull();
  expect(await noted(guest, { what: 'muted', who: 'fred' })).not.toBeNull();

  const asked = Date.now();
  const removed = await moderate(hosts, { identity: 'fred', action: 'remove' });
  expect(removed.status, removed.text).toBe(200);
  expect(Date.parse(removed.body.until) - asked).toBeGreaterThan(115_000);
  const out = await noted(guest, { what: 'disconnected' });
  expect(out).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  report('moderation', `removed ${out.at - asked} ms after the host asked`);
  expect((await ask(guests, 'club-3')).body).toMatchObject({ code: 'banned' });
  expect((await ask(guests, 'club-4')).status, 'another room').toBe(200);
  for (const token of [admitted.body.token, refreshed.at(-1)].filter(Boolean)) {
    await guest.evaluate((given) => window.customer.refusal(() => window.customer.connect(given)), { serverUrl: admitted.body.url, participantToken: token });
    await expect.poll(async () => (await participants(stage.livekit, 'club-3')).map(({ identity }) => identity), { timeout: 10_000 }).toEqual(['eva']);
  }
});

test('guests come by invitation: one use each, only as far as the inviter may go, and out when it is revoked', async ({ person }) => {
  const page = await person(putOut);
  const host = await callerToken('gil', { role: 'host' });
  const invite = (body) => post(`${stage.door.url}/api/invites`, host, { room: 'club-5', expires: 3600, ...body });
  expect((await post(`${stage.door.url}/api/invites`, await callerToken('hal'), { room: 'club-5', expires: 3600 })).body).toMatchObject({ code: 'room_forbidden' });
  const made = await invite({ uses: 2, publish: true });
  expect(made.status).toBe(201);
  const secret = made.body.url.split('#invite=')[1];
  const join = (guest, more) => post(`${stage.door.url}/api/join`, secret, { guest, ...more });

  const first = await join('guest-tab-number-1', { username: 'Ivy' });
  expect(first.body).toMatchObject({ room: 'club-5', permissions: { canPublish: true } });
  expect(first.body.identity).toMatch(/^guest:/);
  expect(first.body.moderate ?? first.body.invite).toBeUndefined();
  expect((await join('guest-tab-number-1')).body.identity).toBe(first.body.identity);
  const sdk = await post(`${stage.door.url}/api/token`, secret, { room_name: 'club-5', participant_attributes: { guest: 'guest-tab-number-2' } });
  expect(sdk.status, sdk.text).toBe(201);
  expect((await join('guest-tab-number-3')).body).toMatchObject({ code: 'room_forbidden' });
  expect((await join('guest-tab-number-1', { room: 'club-6' })).body).toMatchObject({ code: 'room_forbidden' });
  expect((await post(`${stage.door.url}/api/moderate`, secret, { room: 'club-5', identity: 'gil', action: 'mute' })).body).toMatchObject({ code: 'room_forbidden' });

  expect(await enter(page, first)).toMatchObject({ identity: first.body.identity, canPublish: true });
  await page.evaluate(() => window.customer.camera());
  const listed = await fetch(`${stage.door.url}/api/invites`, { headers: { Authorization: `Bearer ${host}` } });
  const text = await listed.text();
  expect(JSON.parse(text).invites).toMatchObject([{ id: made.body.id, uses: 2, used: 2 }]);
  expect(text).not.toContain(secret);

  // The guest's camera follows the inviter's rights.
  await stage.door.operate('POST', '/api/bans', { user: 'gil', room: 'club-7' });
  expect(await page.evaluate(() => window.customer.own())).toMatchObject({ canPublish: true });
  const revoked = await fetch(`${stage.door.url}/api/invites/${made.body.id}`, { method: 'DELETE', headers: { Authorization: `Bearer ${host}` } });
  expect(revoked.status).toBe(200);
  expect(await noted(page, { what: 'disconnected' })).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  expect((await join('guest-tab-number-1')).body).toMatchObject({ code: 'invalid_token' });
  expect(stage.door.program.output, 'no secret in the log').not.toContain(secret);
});
