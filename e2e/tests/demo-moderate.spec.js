// The demo's moderator: Alice mutes Bob and puts him out, and everybody is told
// what happened in words.
import { plans } from '../lib/box-office.js';
import { enterRoom, expectNoSidewaysScroll, keep, openLobby, PHONE, tile } from '../lib/demo-room.js';
import { post, startDev } from '../lib/door.js';
import { operatorToken, roomService } from '../lib/operator.js';
import { policyFile } from '../lib/rules.js';
import { expect, test as shared } from '../lib/test.js';

// What livekit-client says on the console when the server puts somebody out.
const PUT_OUT = [/DataChannel error|data channel .* closed unexpectedly/];

// A door of its own: plans that change here would be seen by other tests of the demo.
const test = shared.extend({ moderated: [async ({}, use) => use(true), { scope: 'worker', auto: true }] });

/** Does something in a room with LiveKit's own key, as the door does. */
async function operate(livekit, room, method, body) {
  const answer = await roomService(livekit, await operatorToken(livekit, room), method, body);
  expect(answer.status, `${method}: ${answer.text}`).toBe(200);
}

/** Alice and Bob on stage, both with camera and microphone. */
async function bothOnStage(world, person, room, options = {}) {
  await plans(world, { alice: true, bob: true });
  const [alice, bob] = [await person(options), await person({ ...options, allow: [/status of 403/, ...PUT_OUT] })];
  for (const [page, caller] of [[alice, 'alice'], [bob, 'bob']]) {
    await openLobby(page, world, caller, room);
    await expect(page.getByTestId('preview-toggle-mic')).toHaveAttribute('data-on', 'true');
    await enterRoom(page);
    await expect(page.getByTestId('control-mic')).toHaveAttribute('aria-pressed', 'true');
  }
  return [alice, bob];
}

for (const [size, viewport] of [['1280', { width: 1280, height: 800 }], ['390', PHONE]]) {
  test(`Alice mutes Bob, he speaks up again, she removes him, and he stays out, ${size} px wide`, async ({ world, person, room }) => {
    test.slow(); // two people with two cameras
    const [alice, bob] = await bothOnStage(world, person, room, { viewport });
    const micOff = tile(alice, 'bob').getByText('microphone off');
    await expect(alice.getByTestId('mute-bob')).toHaveAttribute('aria-disabled', 'false');
    await expect(micOff).toHaveCount(0);
    await keep(alice, `moderate-${size}`);

    await alice.getByTestId('mute-bob').click();
    await expect(bob.getByTestId('control-mic')).toHaveAttribute('aria-pressed', 'false');
    await expect(bob.getByRole('alert').filter({ hasText: 'moderator turned your microphone off' })).toBeVisible();
    await expect(micOff).toHaveCount(1);
    await expect(alice.getByTestId('notice')).toContainText('Bob was muted.');
    await expect(alice.getByRole('status').filter({ hasText: 'Bob was muted.' }), 'said aloud too').toHaveCount(1);
    await expect(alice.getByTestId('mute-bob')).toHaveAttribute('aria-disabled', 'true');
    await expect(alice.getByTestId('mute-bob')).toHaveAccessibleDescription('Bob is silent already.');
    await keep(alice, `moderate-muted-${size}`);
    await keep(bob, `moderate-bob-muted-${size}`);

    // Muting is no ban: he speaks up again.
    await bob.getByTestId('control-mic').click();
    await expect(micOff).toHaveCount(0);

    // By keyboard: asked first, and Escape keeps him.
    await alice.getByTestId('remove-bob').focus();
    await alice.keyboard.press('Enter');
    await expect(alice.getByTestId('remove-dialog')).toBeVisible();
    await keep(alice, `moderate-remove-${size}`);
    await alice.keyboard.press('Escape');
    await expect(alice.getByTestId('remove-dialog')).toHaveCount(0);
    await expect(alice.getByTestId('remove-bob')).toBeFocused();
    await alice.keyboard.press('Enter');
    await alice.getByTestId('remove-confirm').click();

    await expect(tile(alice, 'bob')).toHaveCount(0);
    await expect(alice.getByTestId('notice')).toContainText(/Bob was removed, and is kept out until/);
    await expect(bob.getByTestId('curtain')).toHaveAttribute('data-code', 'banned');
    await expect(bob.getByRole('heading', { level: 1 })).toHaveText('You were removed from the room');
    await expect(bob.getByRole('heading', { level: 1 })).toBeFocused();
    await expect(bob.getByTestId('curtain-detail')).toBeVisible();
    await keep(alice, `moderate-removed-${size}`);
    await keep(bob, `curtain-banned-${size}`);
    await expectNoSidewaysScroll(bob);
    await expectNoSidewaysScroll(alice);

    await bob.getByTestId('curtain-back').click();
    await bob.getByTestId('join-button').click();
    await expect(bob.getByTestId('error-code')).toHaveText('banned');
    await expect(bob.getByTestId('error-panel')).toContainText('You are kept out of this room');
  });
}

test('Bob is no moderator: he has no such buttons, and the door does not take his word', async ({ world, person, room }) => {
  const [, bob] = await bothOnStage(world, person, room);
  await expect(tile(bob, 'alice')).toBeVisible();
  for (const id of ['mute-alice', 'remove-alice', 'invite-button']) await expect(bob.getByTestId(id)).toHaveCount(0);
  const config = await (await fetch(`${world.url}/demo/config.json`)).json();
  const { token } = config.callers.find((caller) => caller.name === 'Bob');
  const ask = (path, body) => fetch(world.url + path, { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
  for (const [path, body] of [
    ['/api/moderate', { room, identity: 'alice', action: 'mute' }],
    ['/api/moderate', { room, identity: 'alice', action: 'remove' }],
    ['/api/invites', { room, expires: 600 }],
  ]) {
    const answer = await ask(path, body);
    expect([answer.status, (await answer.json()).code], path).toEqual([403, 'room_forbidden']);
  }
  await expect(tile(bob, 'alice')).toBeVisible();
});

test('somebody who leaves before the click is not there any more, and Alice is told', async ({ world, person, room }) => {
  await plans(world, { alice: true, bob: false });
  const [alice, bob] = [await person({ allow: [/status of 404/] }), await person()];
  await openLobby(alice, world, 'alice', room);
  await enterRoom(alice);
  await openLobby(bob, world, 'bob', room);
  await enterRoom(bob);
  // Bob is in the audience: there is nothing to mute.
  await expect(alice.getByTestId('remove-bob')).toBeVisible();
  await expect(alice.getByTestId('mute-bob')).toHaveCount(0);
  await alice.getByTestId('remove-bob').click();
  await bob.getByTestId('leave-button').click();
  await expect(bob.getByTestId('join-button')).toBeVisible();
  await expect(tile(alice, 'bob')).toHaveCount(0);
  await alice.getByTestId('remove-confirm').click();
  await expect(alice.getByTestId('notice')).toHaveAttribute('data-bad', 'true');
  await expect(alice.getByRole('alert')).toContainText('They are not here any more.');
});

test('a message that says the time is up, of somebody who is not the door, is not shown', async ({ operated, person, room }) => {
  const [alice, bob] = [await person(), await person()];
  await openLobby(bob, operated, 'bob', room);
  await enterRoom(bob);
  const asked = [];
  bob.on('request', (request) => request.url().endsWith('/api/join') && asked.push(request.url()));
  await alice.goto(operated.customer);
  const { body } = await post(`${operated.url}/api/join`, 'alice-token', { room });
  // At once, when Bob's page has not heard of her, and later, when it has.
  await alice.evaluate(async ({ url, token }) => {
    const { Room } = await import('/livekit-client.mjs');
    window.own = new Room();
    await window.own.connect(url, token);
    window.joke = () => window.own.localParticipant.publishData(new TextEncoder().encode('{"event":"session_ending","secondsLeft":60}'), { reliable: true, topic: 'stagedoor' });
    await window.joke();
  }, body);
  await expect(tile(bob, 'alice')).toBeVisible();
  for (let times = 0; times < 5; times++) await alice.evaluate(() => window.joke());
  await bob.waitForTimeout(1500); // for all of them to arrive
  await expect(bob.getByTestId('session-ending')).toHaveCount(0);
  expect(asked.length, 'times that the door was asked').toBeLessThanOrEqual(1);
});

test('whoever is put out without a ban is told that the door would let them in', async ({ operated, livekit, person, room }) => {
  const bob = await person({ allow: PUT_OUT });
  await openLobby(bob, operated, 'bob', room);
  await enterRoom(bob);
  await operate(livekit, room, 'RemoveParticipant', { room, identity: 'bob' });
  await expect(bob.getByTestId('curtain')).toHaveAttribute('data-code', 'participant_removed');
  await expect(bob.getByTestId('curtain')).toContainText('The door would let you in again');
  await bob.getByTestId('curtain-back').click();
  await expect(bob.getByRole('heading', { level: 1 }), 'where to go on').toBeFocused();
  await enterRoom(bob);
});

test('in a room with a time limit the last minute is counted down, and then it is over', async ({ person }) => {
  test.setTimeout(150_000); // a minute is the shortest limit there is
  const { file } = policyFile('rooms:\n  - {name: short, room: "short-{n}", max_session: 1m}\n');
  const door = await startDev({ POLICY_FILE: file });
  const bob = await person({ viewport: PHONE, allow: [/status of 403/, ...PUT_OUT] });
  await openLobby(bob, door, 'bob', 'short-1');
  await enterRoom(bob);
  const ending = bob.getByTestId('session-ending');
  await expect(ending).toContainText(/Your time in this room ends in (0:5\d|1:00)/, { timeout: 20_000 });
  await expect(bob.getByRole('status').filter({ hasText: /Your visit ends in (5\d|60) seconds/ }), 'said aloud, once').toHaveCount(1);
  await keep(bob, 'session-ending-390');
  await expectNoSidewaysScroll(bob);
  await expect(bob.getByTestId('leave-button')).toBeInViewport({ ratio: 1 });
  await expect(ending).toHaveAttribute('data-last', 'true', { timeout: 60_000 });
  await expect(bob.getByTestId('curtain')).toHaveAttribute('data-code', 'session_over', { timeout: 30_000 });
  await expect(bob.getByRole('heading', { level: 1 })).toHaveText('Your time is up');
  await keep(bob, 'curtain-over-390');
  await door.stop();
});
