// The demo's guest list: Alice invites, a guest comes in from a private window,
// and what the guest may do follows Alice.
import { act, plans } from '../lib/box-office.js';
import { enterRoom, expectNoSidewaysScroll, keep, openLobby, PHONE, tile } from '../lib/demo-room.js';
import { closeGuestList, guestTiles, invite, openInvitation } from '../lib/hosting.js';
import { expectMovingPicture, framesDecoded, mediaSent } from '../lib/people.js';
import { expect, test as shared } from '../lib/test.js';

// What livekit-client says on the console when the server puts somebody out.
const PUT_OUT = [/DataChannel error|data channel .* closed unexpectedly/];

// A door of its own: plans that change here would be seen by other tests of the demo.
const test = shared.extend({ hosted: [async ({}, use) => use(true), { scope: 'worker', auto: true }] });

/** Alice on stage, as host. */
async function host(world, person, room, options = {}) {
  await plans(world, { alice: true, bob: false });
  const alice = await person(options);
  await openLobby(alice, world, 'alice', room);
  await expect(alice.getByTestId('preview-toggle-camera')).toHaveAttribute('data-on', 'true');
  await enterRoom(alice);
  return alice;
}

for (const [size, viewport] of [['1280', { width: 1280, height: 800 }], ['390', PHONE], ['844', { width: 844, height: 390 }]]) {
  test(`a guest comes in by a link, watches, and is gone when it is revoked, ${size} px wide`, async ({ world, person, room }) => {
    test.slow();
    const alice = await host(world, person, room, { viewport });
    const link = await invite(alice, { name: 'Gwen' });
    await keep(alice, `invite-made-${size}`);
    await expectNoSidewaysScroll(alice);

    const guest = await person({ viewport, allow: [/status of 401/, ...PUT_OUT] });
    await openInvitation(guest, link);
    // The secret is nowhere but in this tab.
    const secret = link.split('#invite=')[1];
    expect(guest.url()).not.toContain('invite');
    expect(await guest.evaluate(() => [document.cookie, localStorage.length, document.documentElement.outerHTML, performance.getEntriesByType('resource').map(({ name }) => name)].join())).not.toContain(secret);
    await keep(guest, `guest-lobby-${size}`);
    await expectNoSidewaysScroll(guest);
    await guest.reload();
    await expect(guest.getByTestId('guest-lobby')).toBeVisible();

    await enterRoom(guest);
    await expect(guest.getByRole('heading', { level: 1 })).toContainText(room);
    await expectMovingPicture(guest);
    await expect(guest.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
    await expect(guest.getByTestId('watch-banner')).toContainText('You watch as a guest');
    await expect(guest.getByTestId('watch-reason')).toHaveAttribute('data-reason', 'policy');
    await expect(guest.getByTestId('control-camera')).toHaveAttribute('aria-disabled', 'true');
    await expect(guest.getByTestId('plan-panel'), 'the box office is not for guests').toHaveCount(0);
    for (const id of ['mute-alice', 'remove-alice', 'invite-button', 'switch-to-alice']) await expect(guest.getByTestId(id)).toHaveCount(0);
    await expect(guestTiles(alice)).toContainText('Gwen');
    expect(await mediaSent(guest), 'bytes of media from the guest').toBe(0);
    await keep(guest, `guest-room-${size}`);
    await expectNoSidewaysScroll(guest);
    await expect(guest.getByTestId('leave-button')).toBeInViewport({ ratio: 1 });

    // The list follows; revoking ends the visit.
    await expect(alice.getByTestId('pass')).toContainText('1 of 1 came');
    await keep(alice, `invite-list-${size}`);
    await alice.getByTestId('pass-revoke').click();
    await expect(alice.getByTestId('pass')).toHaveAttribute('data-standing', 'revoked');
    await expect(alice.getByTestId('invite-made'), 'a link that is worth nothing any more').toHaveCount(0);
    await expect(guest.getByTestId('curtain')).toHaveAttribute('data-code', 'invalid_token');
    await expect(guest.getByRole('heading', { level: 1 })).toHaveText('Your invitation was taken back');
    await expect(guestTiles(alice)).toHaveCount(0);
    await keep(guest, `curtain-revoked-${size}`);
    await keep(alice, `invite-revoked-${size}`);
    await guest.getByTestId('curtain-back').click();
    await guest.getByTestId('join-button').click();
    await expect(guest.getByTestId('error-panel')).toContainText('This invitation is not valid');
    await expect(guest.getByTestId('error-code')).toHaveText('invalid_token');
    await keep(guest, `guest-refused-${size}`);
  });
}

test('a guest who may publish does, until Alice’s plan is cancelled, and again when she pays', async ({ world, person, room }) => {
  test.slow();
  const alice = await host(world, person, room);
  const link = await invite(alice, { publish: true });
  await closeGuestList(alice);
  await expect(alice.getByTestId('invite-button'), 'the focus comes back').toBeFocused();
  const guest = await person();
  await openInvitation(guest, link, 'Gwen');
  await enterRoom(guest);
  await expect(guest.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
  await guest.getByTestId('control-camera').click();
  await expect(guestTiles(alice).locator('video')).toBeVisible();
  const before = await framesDecoded(alice);
  await expect.poll(() => framesDecoded(alice), { message: 'frames of the guest at Alice’s' }).toBeGreaterThan(before + 10);
  await keep(alice, 'guest-on-stage');

  // Alice's own box office, in her own window.
  await alice.getByTestId('plan-alice-cancel').click();
  await expect(guest.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
  await expect(guestTiles(alice).locator('video')).toHaveCount(0);
  await expect(guest.getByTestId('watch-reason')).toContainText('Whoever invited you may not publish');
  await expect(alice.getByTestId('may-publish')).toHaveAttribute('data-value', 'false');
  await keep(guest, 'guest-off-stage');

  // Without the right she cannot give it: the switch says so.
  await alice.getByTestId('invite-button').click();
  await expect(alice.getByTestId('invite-publish')).toBeDisabled();
  await expect(alice.getByTestId('invite-publish')).toHaveAccessibleDescription('You may not publish yourself at the moment.');
  await keep(alice, 'invite-no-publish');
  await closeGuestList(alice);

  await act(world, 'alice', 'subscribe');
  await expect(guest.getByTestId('may-publish')).toHaveAttribute('data-value', 'true');
});

test('one use is one guest: a reload is the same one, another window is refused in words', async ({ world, person, room }) => {
  const alice = await host(world, person, room);
  const link = await invite(alice);
  const guest = await person();
  await openInvitation(guest, link, 'Gwen');
  await enterRoom(guest);
  await expect(guestTiles(alice)).toContainText('Gwen');
  const identity = await guestTiles(alice).getAttribute('data-identity');
  await guest.reload();
  await guest.getByTestId('guest-name').fill('Gwen');
  await enterRoom(guest);
  await expect(guestTiles(alice)).toHaveAttribute('data-identity', identity);
  await expect(alice.getByTestId('pass')).toContainText('1 of 1 came');
  await expect(alice.getByTestId('pass')).toHaveAttribute('data-standing', 'used');

  const late = await person({ viewport: PHONE, allow: [/status of 403/] });
  await openInvitation(late, link, 'Late');
  await late.getByTestId('join-button').click();
  await expect(late.getByTestId('error-code')).toHaveText('room_forbidden');
  await expect(late.getByTestId('error-panel')).toContainText('This invitation lets nobody else in');
  await expect(late.getByTestId('error-panel')).toBeFocused();
  await expectNoSidewaysScroll(late);
  await keep(late, 'guest-used-up-390');

  // The way on is open: the demo's own lobby.
  await late.getByTestId('forget-invitation').click();
  await expect(late.getByTestId('caller-bob')).toBeVisible();
  expect(await late.evaluate(() => JSON.stringify(sessionStorage))).not.toContain('invite_');
});

test('a guest whom Alice removes is told so, and the link lets no new guest in meanwhile', async ({ world, person, room }) => {
  const alice = await host(world, person, room);
  const link = await invite(alice, { uses: 5 });
  await closeGuestList(alice);
  const [guest, friend] = [await person({ allow: [/status of 403/, ...PUT_OUT] }), await person({ allow: [/status of 403/] })];
  await openInvitation(guest, link, 'Gwen');
  await enterRoom(guest);
  await guestTiles(alice).getByRole('button', { name: 'Remove Gwen' }).click();
  await expect(alice.getByTestId('remove-dialog')).toContainText('lets no new guest in');
  await alice.getByTestId('remove-confirm').click();
  await expect(guest.getByTestId('curtain')).toHaveAttribute('data-code', 'banned');
  await expect(guest.getByTestId('curtain-detail')).toBeVisible();
  await openInvitation(friend, link, 'Fred');
  await friend.getByTestId('join-button').click();
  await expect(friend.getByTestId('error-code')).toHaveText('banned');
  await expect(friend.getByTestId('error-panel')).toContainText('another guest of this invitation');
});

test('the link is copied, and a name of the guest’s own is refused where the invitation has one', async ({ world, person, room }) => {
  const alice = await host(world, person, room, { permissions: ['camera', 'microphone', 'clipboard-read', 'clipboard-write'] });
  const link = await invite(alice, { name: 'Gwen', uses: 2 });
  await alice.getByTestId('invite-copy').click();
  await expect(alice.getByTestId('invite-made').getByRole('status')).toHaveText('Copied.');
  expect(await alice.evaluate(() => navigator.clipboard.readText())).toBe(link);

  const guest = await person({ allow: [/status of 403/] });
  await openInvitation(guest, link, 'Somebody Else');
  await guest.getByTestId('join-button').click();
  await expect(guest.getByTestId('error-code')).toHaveText('field_not_allowed');
  await expect(guest.getByTestId('error-panel')).toContainText('The invitation has a name for you');
  await guest.getByTestId('guest-name').fill('');
  await enterRoom(guest);
  await expect(guestTiles(alice)).toContainText('Gwen');
  await expect(tile(guest, 'alice')).toBeVisible();
});
