// The thirty-second demo: plans change at the demo's Stripe, and the running
// call follows, in both windows, without anybody reconnecting.
import { enterRoom, expectNoSidewaysScroll, keep, openLobby, PHONE, tile } from '../lib/demo-room.js';
import { post } from '../lib/door.js';
import { expectMovingPicture, framesDecoded } from '../lib/people.js';
import { expect, test as shared } from '../lib/test.js';

// A door of its own: what changes here would be seen by other tests of the demo.
const test = shared.extend({ apart: [async ({}, use) => use(true), { scope: 'worker', auto: true }] });

/** The panel's button; on a phone the drawer is opened first. */
async function press(page, user, action) {
  const button = page.getByTestId(`plan-${user}-${action}`);
  if (!(await button.isVisible())) await page.getByTestId('plan-toggle').click();
  await expect(button).toHaveAttribute('aria-disabled', 'false');
  await button.click();
}

/** What a press of a button asks of the door. */
function act(world, user, action) {
  return post(`${world.url}/demo/plans`, null, { user, action });
}

/** Back to how the demo begins, so that these tests stand in any order: Alice has a plan, Bob has none. */
async function reset(world) {
  const { plans } = await (await fetch(`${world.url}/demo/plans`)).json();
  const status = Object.fromEntries(plans.map((plan) => [plan.user, plan.status]));
  if (status.bob === 'active' || status.bob === 'past_due') await act(world, 'bob', 'cancel');
  if (status.alice !== 'active') await act(world, 'alice', 'subscribe');
}

/** The state of every track this page ever sent: an ended camera is off, its light too. */
const sentTracks = (page) => page.evaluate(() => window.sent.map((track) => track.readyState));

for (const [size, viewport] of [['1280', { width: 1280, height: 800 }], ['390', PHONE]]) {
  test(`Bob's plan opens and closes the stage in a running call, ${size} px wide`, async ({ world, person, room }) => {
    test.slow(); // two people, four changes, three cameras
    await reset(world);
    const [alice, bob] = [await person({ viewport }), await person({ viewport })];
    await openLobby(alice, world, 'alice', room);
    await expect(alice.getByTestId('preview-video')).toBeVisible();
    await enterRoom(alice);
    await openLobby(bob, world, 'bob', room);
    await enterRoom(bob);
    await expectMovingPicture(bob);
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    let connections = 0;
    bob.on('websocket', () => connections++);
    await keep(bob, `plan-none-${size}`);

    // One click of Bob's: his camera button opens, and Alice sees him.
    await press(bob, 'bob', 'subscribe');
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
    await expect(bob.getByTestId('watch-banner')).toHaveCount(0);
    await expect(bob.getByTestId('stage-open-cue')).toBeVisible();
    await expect(bob.getByTestId('plan-bob')).toHaveAttribute('data-status', 'active');
    await expect(bob.getByTestId('plan-timeline')).toContainText(/LiveKit: stage open after \d+ ms/);
    const [, ms] = (await bob.getByTestId('plan-timeline').textContent()).match(/stage open after (\d+) ms/);
    test.info().annotations.push({ type: 'stage open', description: `${ms} ms from the click` });
    await keep(bob, `plan-open-${size}`);
    if (viewport === PHONE) {
      await expectNoSidewaysScroll(bob);
      await expect(bob.getByTestId('leave-button'), 'the way out, beside drawer and cue').toBeInViewport({ ratio: 1 });
      await expect(tile(bob, 'alice'), 'the call, above the open drawer').toBeInViewport({ ratio: 1 });
      await bob.getByTestId('plan-toggle').click();
    }
    await bob.getByTestId('stage-open-cue').getByRole('button').click();
    await expect(bob.getByTestId('control-camera'), 'the focus, when the cue is gone').toBeFocused();
    await expect(tile(alice, 'bob').locator('video')).toBeVisible();
    const before = await framesDecoded(alice);
    await expect.poll(() => framesDecoded(alice), { message: "Bob's frames at Alice's" }).toBeGreaterThan(before + 10);
    await keep(alice, `plan-both-${size}`);

    // What was pressed elsewhere has no time here: nothing was measured.
    await expect(alice.getByTestId('plan-timeline')).toContainText(/Bob changed elsewhere.*Stripe: subscription active/);
    await expect(alice.getByTestId('plan-timeline')).not.toContainText('ms');
    await bob.evaluate(() => (window.sent = window.connections.flatMap((each) => each.getSenders()).flatMap(({ track }) => track ?? [])));
    expect(await sentTracks(bob)).toEqual(['live']);

    // A payment fails: his picture ends in Alice's window, and he is told why.
    await press(bob, 'bob', 'fail');
    await expect(tile(alice, 'bob').locator('video')).toHaveCount(0);
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    await expect(bob.getByTestId('watch-reason')).toHaveAttribute('data-reason', 'subscription_inactive');
    await expect(bob.getByTestId('control-camera')).toHaveAttribute('aria-disabled', 'true');
    await expect.poll(() => sentTracks(bob), { message: 'his camera is off' }).toEqual(['ended']);
    await keep(bob, `plan-failed-${size}`);
    if (viewport === PHONE) await bob.getByTestId('plan-toggle').click();

    // He pays after all; then it is cancelled from Alice's window.
    await press(bob, 'bob', 'subscribe');
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
    if (viewport === PHONE) await bob.getByTestId('plan-toggle').click();
    await bob.getByTestId('control-camera').click();
    await expect(tile(alice, 'bob').locator('video')).toBeVisible();
    await press(alice, 'bob', 'cancel');
    await expect(tile(alice, 'bob').locator('video')).toHaveCount(0);
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    await expect(alice.getByTestId('plan-timeline')).toContainText(/Stripe: subscription cancelled.*LiveKit: stage closed after \d+ ms/);
    await expect(bob.getByTestId('plan-bob')).toHaveAttribute('data-status', 'canceled');
    await keep(alice, `plan-cancelled-${size}`);
    expect(connections, 'Bob never connected again').toBe(0);
    for (const page of [alice, bob]) {
      await expectNoSidewaysScroll(page);
      await expect(page.getByTestId('leave-button'), 'the way out is in sight').toBeInViewport({ ratio: 1 });
    }
  });
}

test('the panel is reached and used by keyboard alone', async ({ world, person, room }) => {
  await reset(world);
  const bob = await person({ viewport: { width: 1280, height: 800 } });
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  const button = bob.getByTestId('plan-bob-subscribe');
  await expect(button).toHaveAttribute('aria-disabled', 'false');
  for (let presses = 0; !(await button.evaluate((each) => each === document.activeElement)); presses++) {
    expect(presses, 'tab presses').toBeLessThan(25);
    await bob.keyboard.press('Tab');
  }
  await bob.keyboard.press('Enter');
  await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
  // What makes no sense stays in reach and says why, and does nothing.
  await expect(button).toHaveAttribute('aria-disabled', 'true');
  await expect(button).toHaveAccessibleDescription('The plan is active already.');
});

test('a payer who stops paying is no longer offered as one who has a plan', async ({ world, person, room }) => {
  await reset(world);
  const bob = await person();
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  await expect(bob.getByTestId('switch-to-alice')).toBeVisible();
  await press(bob, 'alice', 'fail');
  await expect(bob.getByTestId('plan-alice')).toHaveAttribute('data-status', 'past_due');
  await expect(bob.getByTestId('switch-to-alice')).toHaveCount(0);
  // Alice is not here, so nothing was seen of her rights, and no time is given.
  await expect(bob.getByTestId('plan-timeline')).toContainText('Stripe: payment failed');
  await expect(bob.getByTestId('plan-timeline')).not.toContainText(/LiveKit|ms/);
  await reset(world);
});

test('what makes no sense is refused by the door too, and the panel says so', async ({ world, person, room }) => {
  await reset(world);
  const { status, body } = await act(world, 'bob', 'applaud');
  expect(status).toBe(400);
  expect(body).toEqual({ error: expect.any(String), code: expect.any(String), requestId: expect.any(String) });

  // Two windows press at once: the slower one is told, and is given no time.
  const bob = await person({ allow: [/status of 400/] });
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  await expect(bob.getByTestId('plan-bob-subscribe')).toHaveAttribute('aria-disabled', 'false');
  await bob.route('**/demo/plans', async (route) => {
    if (route.request().method() === 'POST') await act(world, 'bob', 'subscribe');
    await route.continue();
  });
  await bob.getByTestId('plan-bob-subscribe').click();
  await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
  await expect(bob.getByTestId('plan-timeline').locator('[data-stage=refused]')).toBeVisible();
  await expect(bob.getByTestId('plan-timeline')).not.toContainText(/\d ms/);
});

test('a click that changes nothing on stage is not given the time of what happens elsewhere', async ({ world, person, room }) => {
  await reset(world);
  await act(world, 'bob', 'subscribe');
  await act(world, 'bob', 'fail');
  const bob = await person();
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
  await press(bob, 'bob', 'cancel');
  await expect(bob.getByTestId('plan-timeline')).toContainText('Stripe: subscription cancelled');
  await act(world, 'bob', 'subscribe');
  await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
  await expect(bob.getByTestId('plan-timeline')).toContainText(/Bob changed elsewhere.*LiveKit: stage open/);
  await expect(bob.getByTestId('plan-timeline')).not.toContainText(/\d ms/);
});

test('the lobby shows what the plans say now', async ({ world, person, room }) => {
  await reset(world);
  const visitor = await person();
  await openLobby(visitor, world, 'bob', room);
  await expect(visitor.getByTestId('caller-bob')).toContainText(/may watch/);
  await act(world, 'bob', 'subscribe');
  await expect(visitor.getByTestId('caller-bob')).toContainText('Has a plan');
  await expect(visitor.locator('#rights')).toContainText('Bob has a plan');
  await act(world, 'bob', 'fail');
  await expect(visitor.getByTestId('caller-bob')).toContainText(/payment failed/);
  await expect(visitor.locator('#rights')).toContainText('Bob’s last payment failed');
  await reset(world);
  await expect(visitor.getByTestId('caller-bob')).toContainText(/cancelled/);
  await expect(visitor.locator('#rights')).toContainText('Bob’s plan was cancelled');
});
