// A call in the demo room: Alice pays and publishes, Bob watches her. Camera and
// microphone are the browser's fake ones, everything else is real.
import { enterRoom, expectNoSidewaysScroll, keep, openLobby, PHONE, tile } from '../lib/demo-room.js';
import { expectMovingPicture, framesDecoded, mediaSent, picture } from '../lib/people.js';
import { expect, test } from '../lib/test.js';

for (const [size, viewport] of [['1280', { width: 1280, height: 800 }], ['390', PHONE]]) {
  test(`Alice publishes, Bob sees her and is told why he may not, ${size} px wide`, async ({ world, person, room }) => {
    const [alice, bob] = [await person({ viewport }), await person({ viewport })];
    await openLobby(alice, world, 'alice', room);
    await expect(alice.getByTestId('preview-video')).toBeVisible();
    await expect.poll(async () => (await picture(alice.getByTestId('preview-video'))).contrast, { message: 'the preview shows something' }).toBeGreaterThan(40);
    await keep(alice, `lobby-${size}`);
    if (viewport === PHONE) await expectNoSidewaysScroll(alice);
    await enterRoom(alice);
    await expect(alice.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
    await expect(alice.getByTestId('watch-banner')).toHaveCount(0);

    await openLobby(bob, world, 'bob', room);
    await enterRoom(bob);
    const frames = await expectMovingPicture(bob);
    test.info().annotations.push({ type: 'frames', description: `${frames} decoded by Bob` });
    const video = tile(bob, 'alice').locator('video');
    await expect(video).toBeVisible();
    const first = await picture(video);
    expect(first.contrast, 'not a black picture').toBeGreaterThan(40);
    await expect.poll(async () => (await picture(video)).painted, { message: 'frames painted' }).toBeGreaterThan(first.painted);

    // Why not, in words, and controls that say the same.
    await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    await expect(bob.getByTestId('watch-banner')).toBeVisible();
    await expect(bob.getByTestId('watch-reason')).toHaveAttribute('data-reason', 'no_subscription');
    await expect(bob.getByTestId('watch-reason')).toContainText(/plan/);
    const reason = await bob.getByTestId('watch-reason').getAttribute('id');
    for (const control of ['control-mic', 'control-camera', 'control-screen']) {
      await expect(alice.getByTestId(control)).toHaveAttribute('aria-disabled', 'false');
      await expect(bob.getByTestId(control)).toHaveAttribute('aria-disabled', 'true');
      await expect(bob.getByTestId(control)).toHaveAttribute('aria-describedby', reason);
      await bob.getByTestId(control).click({ force: true });
    }
    await expect(tile(alice, 'bob')).toBeVisible();
    await expect(tile(alice, 'bob').locator('video')).toHaveCount(0);
    expect(await mediaSent(alice)).toBeGreaterThan(0);
    expect(await mediaSent(bob), 'bytes of media from Bob').toBe(0);
    await keep(alice, `room-alice-${size}`);
    await keep(bob, `room-bob-${size}`);
    if (viewport === PHONE) {
      await expectNoSidewaysScroll(alice);
      await expectNoSidewaysScroll(bob);
      for (const page of [alice, bob]) await expect(page.getByTestId('leave-button'), 'the way out is in sight').toBeInViewport({ ratio: 1 });
    }
  });
}

test('Alice turns her camera off and on and shows her screen, Bob follows; then both leave', async ({ world, person, room }) => {
  const [alice, bob] = [await person(), await person()];
  await openLobby(alice, world, 'alice', room);
  await expect(alice.getByTestId('preview-video')).toBeVisible();
  await enterRoom(alice);
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  await expectMovingPicture(bob);

  await expect(alice.getByTestId('control-camera')).toHaveAttribute('aria-pressed', 'true');
  await alice.getByTestId('control-camera').click();
  await expect(tile(bob, 'alice').locator('video')).toHaveCount(0);
  await alice.getByTestId('control-camera').click();
  await expect(tile(bob, 'alice').locator('video')).toBeVisible();
  const before = await framesDecoded(bob);
  await expect.poll(() => framesDecoded(bob), { message: 'frames after the camera is on again' }).toBeGreaterThan(before + 10);

  // The browser's fake picker gives a fake screen.
  await alice.getByTestId('control-screen').click();
  const screen = bob.locator('[data-testid=tile][data-identity=alice][data-source=screen_share] video');
  await expect.poll(async () => (await screen.count()) > 0 && (await picture(screen)).contrast, { message: 'the screen is seen' }).toBeGreaterThan(40);
  await alice.getByTestId('control-screen').click();
  await expect(screen).toHaveCount(0);

  await alice.getByTestId('leave-button').click();
  await expect(alice.getByTestId('join-button')).toBeVisible();
  await expect(tile(bob, 'alice')).toHaveCount(0);
  // The banner's way out: back to the lobby as somebody who may.
  await bob.getByTestId('switch-to-alice').click();
  await expect(bob.getByTestId('caller-alice').getByRole('radio')).toBeChecked();
  await enterRoom(bob);
  await expect(bob.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
});
