// Put out and kept out: with the token one had, with the one that LiveKit
// refreshed, and however often one tries.
import { post } from '../lib/door.js';
import { participants } from '../lib/operator.js';
import { report } from '../lib/figures.js';
import { watchRefresh } from '../lib/people.js';
import { callerToken } from '../lib/stage.js';
import { expect, test } from '../lib/test.js';

const join = (door, token, room) => post(`${door.url}/api/join`, token, { room });
const log = (page) => page.evaluate(() => window.customer.state.log);
const noted = (page, what, after = 0, within = 5000) => page.evaluate(([...args]) => window.customer.noted(...args), [what, after, within]);
const inside = async (stage, room) => (await participants(stage.livekit, room)).map(({ identity }) => identity);

// What livekit-client says on the console when the server puts somebody out.
const PUT_OUT = [/signal stream/, /data channel/, /DataChannel error/, /leave request/];

/** Tries to come in and gives for how many milliseconds LiveKit lists them; null: for good. */
async function stay(stage, page, room, identity, { url, token }) {
  // Not waited for: livekit-client may go on waiting for a connection that the server has ended.
  page.evaluate((given) => window.customer.refusal(() => window.customer.connect(given)), { serverUrl: url, participantToken: token }).catch(() => {});
  const [began, seen] = [Date.now(), []];
  while (Date.now() < began + 3000 && !(seen.length > 0 && Date.now() > seen.at(-1) + 300)) {
    if ((await inside(stage, room)).includes(identity)) seen.push(Date.now());
    await page.waitForTimeout(10);
  }
  expect(seen.length, `${identity} came as far as LiveKit`).toBeGreaterThan(0);
  if (Date.now() < seen.at(-1) + 300) return null;
  await page.evaluate(() => window.customer.leave()); // or it would go on trying
  return seen.at(-1) - seen[0];
}

test('a ban puts out at once, and no token comes back in until it is lifted', async ({ stage, person, room }) => {
  const page = await person({ allow: PUT_OUT });
  const refreshed = watchRefresh(page);
  const { stripe, door } = stage;
  stripe.subscribe(stripe.customer({ metadata: { user_id: 'mallory' } }), stripe.plan('publish'));
  await stripe.delivery.settled();
  await door.quiet();
  const token = await callerToken('mallory');
  const first = await door.join(token, room);
  await page.goto(stage.page);
  await page.waitForFunction(() => window.customer);
  await page.evaluate((given) => window.customer.connect(given), { serverUrl: first.url, participantToken: first.token });
  await page.evaluate(() => window.customer.camera());
  await expect.poll(() => refreshed.length, { message: 'a token that LiveKit refreshed' }).toBeGreaterThan(0);
  const [later] = refreshed.slice(-1);
  expect(later).not.toBe(first.token);

  const sent = Date.now();
  const ban = await door.operate('POST', '/api/bans', { user: 'mallory', reason: 'shouts' });
  const out = await noted(page, { what: 'disconnected' });
  report('from the ban to the browser', `${out.at - sent} ms`);
  expect(out).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  expect(out.at - sent).toBeLessThan(1000);
  const refused = await join(door, token, room);
  expect([refused.status, refused.body.code]).toEqual([403, 'banned']);
  expect(refused.text, 'the reason is not for them').not.toContain('shouts');
  expect((await post(`${door.url}/api/token`, token, { room_name: room })).body.code).toBe('banned');

  const times = [];
  for (const old of [first.token, later, first.token, later, first.token]) times.push(await stay(stage, page, room, 'mallory', { url: first.url, token: old }));
  report('put out again after', `${times.join(', ')} ms`);
  expect(times).not.toContain(null);
  expect(Math.max(...times)).toBeLessThan(1000);

  expect(await door.operate('DELETE', `/api/bans/${ban.id}`)).toMatchObject({ id: ban.id, subject: 'mallory' });
  const back = await door.join(token, room);
  expect(back.permissions.canPublish).toBe(true);
  expect(await stay(stage, page, room, 'mallory', back), 'let in again').toBeNull();
});

test('a ban of one room, and one that ends', async ({ stage, person, room }) => {
  const [page, other] = [await person({ allow: PUT_OUT }), await person()];
  const { door } = stage;
  const token = await callerToken('oscar');
  const elsewhere = `${room}-2`;
  for (const [each, where] of [[page, room], [other, elsewhere]]) {
    const given = await door.join(token, where);
    await each.goto(stage.page);
    await each.waitForFunction(() => window.customer);
    await each.evaluate((details) => window.customer.connect(details), { serverUrl: given.url, participantToken: given.token });
  }
  await door.operate('POST', '/api/bans', { user: 'oscar', room, for: '3s' });
  const began = Date.now();
  expect(await noted(page, { what: 'disconnected' })).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  const refused = await join(door, token, room);
  expect([refused.status, refused.body.code]).toEqual([403, 'banned']);
  expect((await join(door, token, elsewhere)).status).toBe(200);
  await expect.poll(async () => (await join(door, token, room)).status, { intervals: [100] }).toBe(200);
  expect(Date.now() - began).toBeGreaterThan(2500);
  expect((await log(other)).map(({ what }) => what), 'in the other room all the while').not.toContain('disconnected');
  expect(await inside(stage, elsewhere)).toEqual(['oscar']);
});
