// The thirty-second demo: plans change at the demo's Stripe, and the running
// call follows, in both windows, without anybody reconnecting.
import { enterRoom, expectNoSidewaysScroll, keep, openLobby, PHONE, tile } from '../lib/demo-room.js';
import { expectMovingPicture, framesDecoded } from '../lib/people.js';
import { expect, test } from '../lib/test.js';

/** The panel's button; on a phone the drawer is opened first. */
async function press(page, user, action) {
  const button = page.getByTestId(`plan-${user}-${action}`);
  if (!(await button.isVisible())) await page.getByTestId('plan-toggle').click();
  await expect(button).toHaveAttribute('aria-disabled', 'false');
  await button.click();
}

/** Back to how the demo begins, so that these tests stand in any order. */
async function resetBob(world) {
  const { plans } = await (await fetch(`${world.url}/demo/plans`)).json();
  const status = plans.find(({ user }) => user === 'bob').status;
  if (status === 'active' || status === 'past_due') {
    await fetch(`${world.url}/demo/plans`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"user":"bob","action":"cancel"}' });
  }
}

for (const [size, viewport] of [['1280', { width: 1280, height: 800 }], ['390', PHONE]]) {
  test(`Bob's plan opens and closes the stage in a running call, ${size} px wide`, async ({ world, person, room }) => {
    await resetBob(world);
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
    await expect(bob.getByTestId('plan-timeline')).toContainText(/Bob subscribed\s*stage open\s*\d+ ms/);
    const [, ms] = (await bob.getByTestId('plan-timeline').textContent()).match(/stage open\s*(\d+) ms/);
    test.info().annotations.push({ type: 'stage open', description: `${ms} ms from the click` });
    await keep(bob, `plan-open-${size}`);
    if (viewport === PHONE) await bob.getByTestId('plan-toggle').click();
    await bob.getByTestId('stage-open-cue').getByRole('button').click();
    await expect(tile(alice, 'bob').locator('video')).toBeVisible();
    const before = await framesDecoded(alice);
    await expect.poll(() => framesDecoded(alice), { message: "Bob's frames at Alice's" }).toBeGreaterThan(before + 10);
    await keep(alice, `plan-both-${size}`);

    // A payment fails: his picture ends in Alice's window, and he is told why.
    await press(bob, 'bob', 'fail');
    await expect(tile(alice, 'bob').locator('video')).toHaveCount(0);
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    await expect(bob.getByTestId('watch-reason')).toHaveAttribute('data-reason', 'subscription_inactive');
    await expect(bob.getByTestId('control-camera')).toHaveAttribute('aria-disabled', 'true');
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
    await expect(alice.getByTestId('plan-timeline')).toContainText(/Bob cancelled.*stage closed\s*\d+ ms/);
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
  await resetBob(world);
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

test('the lobby shows what the plans say now', async ({ world, person, room }) => {
  await resetBob(world);
  const visitor = await person();
  await openLobby(visitor, world, 'bob', room);
  await expect(visitor.getByTestId('caller-bob')).toContainText(/may watch/);
  await fetch(`${world.url}/demo/plans`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"user":"bob","action":"subscribe"}' });
  await expect(visitor.getByTestId('caller-bob')).toContainText('Has a plan');
  await resetBob(world);
  await expect(visitor.getByTestId('caller-bob')).toContainText(/cancelled/);
});
