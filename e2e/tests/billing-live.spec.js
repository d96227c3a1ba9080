// In the call: rights change with what is paid, in two browsers that stay where
// they are. `log` is what livekit-client's own events said, and when.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { SignJWT } from 'jose';
import { participants } from '../lib/operator.js';
import { median, percentile, report } from '../lib/figures.js';
import { expectMovingPicture, framesDecoded } from '../lib/people.js';
import { emptyDirectory } from '../lib/program.js';
import { callerToken, startStage } from '../lib/stage.js';
import { sign } from '../lib/stripe-delivery.js';
import { snapshotEvent } from '../lib/stripe-objects.js';
import { expect, test } from '../lib/test.js';

const CHANGES = 50;

/** Opens the customer's page for somebody. */
async function open(page, stage) {
  await page.goto(stage.page);
  await page.waitForFunction(() => window.customer);
}

const enter = (page, { url, token }) => page.evaluate((given) => window.customer.connect(given), { serverUrl: url, participantToken: token });
const log = (page) => page.evaluate(() => window.customer.state.log);
const noted = (page, what, after = 0, within = 5000) => page.evaluate(([...args]) => window.customer.noted(...args), [what, after, within]);

/** Somebody who pays, by their customer's metadata. */
async function payer(stage, user) {
  const customer = stage.stripe.customer({ metadata: { user_id: user } });
  const sub = stage.stripe.subscribe(customer, stage.stripe.plan('publish'));
  await stage.stripe.delivery.settled();
  await stage.door.quiet();
  return { customer, sub, token: await callerToken(user) };
}

test('cancelled in the call, the camera ends without a reconnect; paid again, it comes back', async ({ stage, person, room }) => {
  const [alice, bob] = [await person(), await person()];
  const { customer, sub, token } = await payer(stage, 'alice');
  for (const page of [alice, bob]) await open(page, stage);
  expect(await enter(alice, await stage.door.join(token, room))).toMatchObject({ identity: 'alice', canPublish: true });
  expect(await enter(bob, await stage.door.join(await callerToken('bob'), room))).toMatchObject({ canPublish: false });
  await alice.evaluate(() => window.customer.camera());
  await expectMovingPicture(bob);

  const canceled = Date.now();
  stage.stripe.cancel(sub);
  const told = await noted(alice, { what: 'permissions', canPublish: false });
  const ended = await noted(bob, { what: 'ended', who: 'alice' });
  expect(await noted(alice, { what: 'unpublished' })).not.toBeNull();
  report('cancelled in the call', `Alice's browser knows after ${told.at - canceled} ms, Bob's sees the track end after ${ended.at - canceled} ms`);
  expect(ended.at - canceled).toBeLessThan(1000);
  const frames = await framesDecoded(bob);
  await bob.waitForTimeout(500);
  expect(await framesDecoded(bob), 'frames after the end').toBeLessThanOrEqual(frames);
  expect(await alice.evaluate(() => window.customer.refusal(() => window.customer.camera()))).toMatchObject({ name: 'PublishTrackError', status: 403 });

  const paid = Date.now();
  stage.stripe.subscribe(customer, stage.stripe.plan('publish'));
  const again = await noted(alice, { what: 'permissions', canPublish: true }, (await log(alice)).findIndex(({ at, what }) => at === told.at && what === 'permissions') + 1);
  report('paid in the call', `Alice's browser knows after ${again.at - paid} ms`);
  expect(again.at - paid).toBeLessThan(1000);
  await alice.evaluate(() => window.customer.camera());
  await expectMovingPicture(bob);

  // All of it in one session each: nobody reconnected.
  for (const page of [alice, bob]) {
    expect((await log(page)).map(({ what }) => what).filter((what) => /onnect/.test(what))).toEqual(['connected']);
  }
});

test(`${CHANGES} changes: from the event at the door to the browser’s`, async ({ stage, person, room }) => {
  const page = await person();
  const { stripe } = stage;
  stripe.feature('publish'); // so that the door asks for entitlements too
  const { sub, token } = await payer(stage, 'measured');
  await open(page, stage);
  await enter(page, await stage.door.join(token, room));
  await stage.door.operate('POST', '/api/sync');
  const hook = stripe.delivery.url;
  stripe.delivery.url = null;
  const [took, served] = [[], []];
  for (let n = 0; n < CHANGES; n++) {
    const canPublish = n % 2 === 1;
    const event = stripe.update(sub, { status: canPublish ? 'active' : 'unpaid' });
    const payload = JSON.stringify(snapshotEvent(event));
    const signature = sign(payload, stripe.secret);
    const after = (await log(page)).length;
    const arrival = noted(page, { what: 'permissions', canPublish }, after);
    await page.waitForTimeout(250); // the door's budget is 15 requests a second, and each change takes two
    const sent = Date.now();
    const answer = stripe.delivery.send(payload, { url: hook, signature });
    const seen = await arrival;
    expect(await answer).toBe(200);
    const asked = stripe.asked(/customer=/, sent).filter(({ at }) => at <= seen.at);
    const answering = Math.max(...asked.map(({ ms }) => ms));
    served.push(answering);
    took.push(seen.at - sent - answering);
  }
  stripe.delivery.url = hook;
  const [half, p99] = [median(took), percentile(took, 0.99)];
  report('event at the door to event in the browser', `median ${half.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, least ${Math.min(...took).toFixed(1)} ms of ${CHANGES}; ` +
    `the double's own answers, taken off: median ${median(served).toFixed(2)} ms, most ${Math.max(...served).toFixed(2)} ms`);
  expect(half).toBeLessThanOrEqual(50);
  expect(p99).toBeLessThanOrEqual(250);
  expect((await log(page)).filter(({ what }) => /onnect/.test(what))).toHaveLength(1);
});

test('an old token proves nothing: publishing is closed within a second of arriving, each time', async ({ stage, person, room }) => {
  const [page, watcher] = [await person(), await person()];
  const { sub, token } = await payer(stage, 'gone');
  const old = await stage.door.join(token, room);
  expect(old.permissions.canPublish).toBe(true);
  stage.stripe.cancel(sub);
  await expect.poll(() => stage.door.publishes(token)).toBe('subscription_inactive');
  for (const each of [page, watcher]) await open(each, stage);
  await enter(watcher, await stage.door.join(await callerToken('watcher'), room));

  const closed = [];
  for (let n = 0; n < 3; n++) {
    const after = (await log(page)).length;
    await enter(page, old);
    // Not waited for: LiveKit answers what is not allowed with silence.
    page.evaluate(() => window.customer.refusal(() => window.customer.publishPastTheClient())).catch(() => {});
    const since = await noted(page, { what: 'connected' }, after);
    const shut = await noted(page, { what: 'permissions', canPublish: false }, after);
    closed.push(shut.at - since.at);
    await expect.poll(async () => (await participants(stage.livekit, room)).find(({ identity }) => identity === 'gone')).toMatchObject({ canPublish: false, tracks: [] });
    if (n === 0) {
      // LiveKit's client comes back by itself with the token it holds.
      const before = (await log(page)).length;
      await page.evaluate(() => window.customer.reconnect());
      expect(await noted(page, { what: 'Reconnected' }, before, 10_000)).not.toBeNull();
      await page.waitForTimeout(1000);
      expect(await page.evaluate(() => window.customer.own().canPublish), 'a second after the reconnect').toBe(false);
      expect((await participants(stage.livekit, room)).find(({ identity }) => identity === 'gone')).toMatchObject({ canPublish: false, tracks: [] });
    }
    await page.evaluate(() => window.customer.leave());
  }
  report('publishing closed after arriving with an old token', `${closed.join(', ')} ms`);
  expect(Math.max(...closed)).toBeLessThan(1000);
  expect(await watcher.evaluate(() => window.customer.others().flatMap(({ tracks }) => Array(tracks).fill('a track')))).toEqual([]);
});

test('a known end closes publishing in the call when it comes, with Stripe away and the door just started', async ({ person, room }) => {
  const directory = emptyDirectory();
  const stage = await startStage({ DATABASE_URL: `sqlite:${path.join(directory, 'door.db')}` });
  const page = await person();
  await stage.door.quiet();
  const { sub, token } = await payer(stage, 'ending');
  await open(page, stage);
  await enter(page, await stage.door.join(token, room));
  const soon = Math.ceil(Date.now() / 1000) * 1000 + 3000;
  stage.stripe.update(sub, { cancelAt: soon });
  await stage.stripe.delivery.settled();
  await stage.door.quiet();
  stage.stripe.fail('hang');
  await stage.door.kill();
  await stage.restart();
  const shut = await noted(page, { what: 'permissions', canPublish: false }, 0, 8000);
  report('closed after the end that was announced', `${shut.at - soon} ms`);
  expect(shut.at - soon).toBeGreaterThanOrEqual(0);
  expect(shut.at - soon).toBeLessThan(1000);

  // Cancelled and paid while the door was away: it finds out by itself.
  stage.stripe.delivery.url = null;
  await stage.door.kill();
  stage.stripe.mend();
  stage.stripe.update(sub, { cancelAt: undefined });
  const after = (await log(page)).length;
  await stage.restart();
  const began = Date.now();
  const opened = await noted(page, { what: 'permissions', canPublish: true }, after, 8000);
  report('opened by a door that was away', `${opened.at - began} ms after its start`);
  await page.evaluate(() => window.customer.leave());
  await stage.stop();
  rmSync(directory, { recursive: true });
});

test('who came with another service’s token is left alone', async ({ stage, person, room }) => {
  const page = await person();
  await open(page, stage);
  const foreign = await new SignJWT({ video: { room, roomJoin: true, canPublish: true, canPublishData: true, canSubscribe: true } })
    .setProtectedHeader({ alg: 'HS256' }).setIssuer(stage.livekit.key).setSubject('recorder-of-somebody').setExpirationTime('5m')
    .sign(new TextEncoder().encode(stage.livekit.secret));
  await enter(page, { url: stage.livekit.url, token: foreign });
  await page.evaluate(() => window.customer.camera());
  await expect.poll(async () => (await stage.door.operate('GET', '/api/live')).participants).toContainEqual(expect.objectContaining({ room, identity: 'recorder-of-somebody', ours: false }));
  await page.waitForTimeout(1000);
  expect(await participants(stage.livekit, room)).toEqual([{ identity: 'recorder-of-somebody', canPublish: true, canPublishData: true, tracks: ['CAMERA'] }]);
});
