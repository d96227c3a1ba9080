// Caps that hold, against the real server: 200 callers for 50 seats.
import { post } from '../lib/door.js';
import { report } from '../lib/figures.js';
import { participants } from '../lib/operator.js';
import { startRuledStage } from '../lib/rules.js';
import { callerToken } from '../lib/stage.js';
import { expect, test } from '../lib/test.js';

const ROUNDS = 20;
const CALLERS = 200;
const SEATS = 50;
const RULES = `rooms:
  - {room: "hall-{n}", max_participants: ${SEATS}}
  - {room: "alone-{n}", devices: one, refuse_second: true}
  - {room: "desk-{n}", devices: many, max_participants: 2}
`;

// What livekit-client says on the console when the server puts somebody out.
const putOut = { allow: [/DataChannel error|data channel .* closed unexpectedly/] };

let stage;
test.beforeAll(async () => {
  stage = await startRuledStage(RULES);
});
test.afterAll(() => stage.stop());

const ask = (token, room, more = {}) => post(`${stage.door.url}/api/join`, token, { room, ...more });

/** Connects to LiveKit with a token, without media, and gives how that ended: 'in' or 'refused'. */
const enter = (page, tokens) =>
  page.evaluate(
    ([url, list]) =>
      Promise.all(
        list.map(
          (token) =>
            new Promise((done) => {
              const socket = new WebSocket(`${url}/rtc?access_token=${token}&protocol=15&sdk=js&auto_subscribe=0`);
              socket.onmessage = () => done('in');
              socket.onerror = () => done('refused');
              (window.sockets ??= []).push(socket);
            }),
        ),
      ),
    [stage.livekit.url, tokens],
  );
const leaveAll = (page) => page.evaluate(() => window.sockets.splice(0).forEach((socket) => socket.close()));

test(`${CALLERS} callers at once for ${SEATS} seats, ${ROUNDS} times: exactly ${SEATS} get in`, async ({ page }) => {
  test.setTimeout(180_000);
  await page.goto(stage.page);
  const tokens = await Promise.all(Array.from({ length: CALLERS }, (_, i) => callerToken(`user-${i}`)));
  for (let round = 0; round < ROUNDS; round++) {
    const room = `hall-${round}`;
    const answers = await Promise.all(tokens.map((token) => ask(token, room)));
    const granted = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status, body }) => status === 403 && body.code === 'room_full');
    const odd = answers.filter(({ status, body }) => status !== 200 && body.code !== 'room_full').map(({ text }) => text);
    expect(odd, `round ${round}`).toEqual([]);
    expect([granted.length, refused.length], `round ${round}`).toEqual([SEATS, CALLERS - SEATS]);
    expect(granted[0].body.ttl).toBe(120);
    // Who holds a seat keeps it, however often their client asks.
    const again = await Promise.all(tokens.map((token) => ask(token, room)));
    expect(again.map(({ status }) => status)).toEqual(answers.map(({ status }) => status));

    expect(new Set(await enter(page, granted.map(({ body }) => body.token)))).toEqual(new Set(['in']));
    const there = await participants(stage.livekit, room);
    expect(new Set(there.map(({ identity }) => identity))).toEqual(new Set(granted.map(({ body }) => body.identity)));
    await leaveAll(page);
  }
  report('seats', `${ROUNDS} times ${CALLERS} callers for ${SEATS} seats: ${SEATS} tokens each time, and LiveKit had those ${SEATS}`);
});

test('a second device is refused while the first is there, and let in at once when it has left', async ({ person }) => {
  const page = await person();
  const token = await callerToken('ann');
  const first = await ask(token, 'alone-1');
  await page.goto(stage.page);
  await page.waitForFunction(() => window.customer);
  await page.evaluate((given) => window.customer.connect(given), { serverUrl: first.body.url, participantToken: first.body.token });
  await expect.poll(async () => (await ask(token, 'alone-1')).status).toBe(409);
  expect((await ask(token, 'alone-1')).body).toMatchObject({ code: 'already_in_room' });
  expect((await ask(token, 'alone-1', { device: 'tablet' })).body).toMatchObject({ code: 'field_not_allowed' });
  expect((await ask(await callerToken('bob'), 'alone-1')).status).toBe(200);
  await page.evaluate(() => window.customer.leave());
  await expect.poll(async () => (await ask(token, 'alone-1')).status, { timeout: 3000 }).toBe(200);
});

test('many devices are as many participants, and as many seats; none escapes a ban', async ({ person }) => {
  const [phone, tablet] = [await person(putOut), await person(putOut)];
  const token = await callerToken('cleo');
  const [one, two] = [await ask(token, 'desk-1', { device: 'phone' }), await ask(token, 'desk-1', { device: 'tablet' })];
  expect([one.body.identity, two.body.identity]).toEqual(['cleo:phone', 'cleo:tablet']);
  expect((await ask(token, 'desk-1', { device: 'third' })).body).toMatchObject({ code: 'room_full' });
  for (const [page, { body }] of [[phone, one], [tablet, two]]) {
    await page.goto(stage.page);
    await page.waitForFunction(() => window.customer);
    await page.evaluate((given) => window.customer.connect(given), { serverUrl: body.url, participantToken: body.token });
  }
  expect((await participants(stage.livekit, 'desk-1')).length).toBe(2);
  await stage.door.operate('POST', '/api/bans', { user: 'cleo', room: 'desk-1' });
  for (const page of [phone, tablet]) {
    expect(await page.evaluate(() => window.customer.noted({ what: 'disconnected' }, 0, 5000))).toMatchObject({ reason: 'PARTICIPANT_REMOVED' });
  }
  for (const device of ['phone', 'tablet', 'new', undefined]) expect((await ask(token, 'desk-1', { device })).body).toMatchObject({ code: 'banned' });
});
