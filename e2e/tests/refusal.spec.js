// What LiveKit itself does with the door's tokens. The page's disabled buttons
// are a courtesy; here a client ignores them and only the server is left.
import { decodeJwt } from 'jose';
import { post } from '../lib/door.js';
import { METHODS, operatorToken, participants, roomService } from '../lib/operator.js';
import { expectMovingPicture, watchRefresh } from '../lib/people.js';
import { expect, test } from '../lib/test.js';

// What would lift a participant above the others.
const PRIVILEGES = ['roomAdmin', 'roomCreate', 'roomList', 'roomRecord', 'ingressAdmin', 'canUpdateOwnMetadata', 'hidden', 'recorder', 'agent'];

async function tokenFor(operated, caller, room) {
  const answer = await post(`${operated.url}/api/join`, caller, { room });
  expect(answer.status).toBe(200);
  return answer.body;
}

async function enter(page, operated, caller, room) {
  const { url, token } = await tokenFor(operated, caller, room);
  await page.goto(operated.customer);
  await page.waitForFunction(() => window.customer);
  return page.evaluate((given) => window.customer.connect(given), { serverUrl: url, participantToken: token });
}

test('a changed client: the server refuses Bob, and nobody ever sees a track of his', async ({ operated, livekit, person, room }) => {
  const [alice, bob] = [await person(), await person()];
  expect(await enter(alice, operated, 'alice-token', room)).toMatchObject({ identity: 'alice', canPublish: true });
  expect(await enter(bob, operated, 'bob-token', room)).toMatchObject({ identity: 'bob', canPublish: false, canPublishData: false });

  // The same call lets Alice publish: it is not the way that fails.
  expect(await alice.evaluate(() => window.customer.publishPastTheClient())).toBeNull();
  await expectMovingPicture(bob);

  const polite = await bob.evaluate(() => window.customer.refusal(() => window.customer.camera()));
  expect(polite, 'the honest client does not even ask').toMatchObject({ name: 'PublishTrackError', status: 403 });
  const forced = bob.evaluate(() => window.customer.publishPastTheClient());
  const renamed = await bob.evaluate(() => window.customer.refusal(() => window.customer.state.room.localParticipant.setName('Alice')));
  expect(renamed, 'canUpdateOwnMetadata is not granted').toMatchObject({ name: 'SignalRequestError' });
  await bob.evaluate(() => window.customer.send('from bob').catch(() => {}));
  await alice.evaluate(() => window.customer.send('from alice'));
  await expect.poll(() => bob.evaluate(() => window.customer.state.data)).toEqual([{ who: 'alice', text: 'from alice' }]);

  // LiveKit drops what is not allowed without a word: livekit-client gives up after ten seconds.
  expect(await forced).toMatchObject({ message: 'publication of local track timed out, no response from server' });
  expect(livekit.output(), "the server's own reason").toMatch(/no permission to publish track.*"participant": "bob"/);
  expect(await alice.evaluate(() => window.customer.state.data)).toEqual([]);
  expect(await alice.evaluate(() => window.customer.state.seen)).toEqual([]);
  expect(await alice.evaluate(() => window.customer.others())).toEqual([{ identity: 'bob', canPublish: false, tracks: 0 }]);
  expect((await participants(livekit, room)).sort((a, b) => a.identity.localeCompare(b.identity))).toEqual([
    { identity: 'alice', canPublish: true, canPublishData: true, tracks: ['CAMERA'] },
    { identity: 'bob', canPublish: false, canPublishData: false, tracks: [] },
  ]);
});

test('nobody raises their rights: RoomService refuses participants, with the door’s token and with the refreshed one', async ({ operated, livekit, person, room }) => {
  const [alice, bob] = [await person(), await person()];
  const refreshed = { alice: watchRefresh(alice), bob: watchRefresh(bob) };
  await enter(alice, operated, 'alice-token', room);
  const { sid } = await alice.evaluate(() => window.customer.camera());
  await enter(bob, operated, 'bob-token', room);

  for (const identity of ['alice', 'bob']) {
    const minted = (await tokenFor(operated, `${identity}-token`, room)).token;
    await expect.poll(() => refreshed[identity].length, { message: `a token that LiveKit refreshed for ${identity}` }).toBeGreaterThan(0);
    const grants = decodeJwt(refreshed[identity].at(-1));
    expect(grants).toMatchObject({ sub: identity, video: { room, roomJoin: true, canPublish: identity === 'alice' } });
    for (const grant of PRIVILEGES) expect(grants.video[grant] ?? false, grant).toBe(false);
    for (const token of [minted, refreshed[identity].at(-1)]) {
      for (const [method, body] of Object.entries(METHODS)) {
        const answer = await roomService(livekit, token, method, body(room, identity, sid));
        expect.soft([method, answer.status, answer.body.code, answer.body.msg], identity).toEqual([method, 401, 'unauthenticated', 'permissions denied']);
      }
    }
  }
  const now = await participants(livekit, room);
  expect(now.find((who) => who.identity === 'bob')).toMatchObject({ canPublish: false, tracks: [] });
  expect(now.find((who) => who.identity === 'alice')).toMatchObject({ tracks: ['CAMERA'] });

  // The operator's token opens what was refused, so it was the token that was refused.
  const operator = await operatorToken(livekit, room);
  const raised = await roomService(livekit, operator, 'UpdateParticipant', METHODS.UpdateParticipant(room, 'bob'));
  expect(raised.status).toBe(200);
  await expect.poll(() => bob.evaluate(() => window.customer.own().canPublish)).toBe(true);
});

test('the server takes the door’s token as it is, and no other', async ({ operated, livekit, room }) => {
  const validate = (token) => fetch(`${livekit.api}/rtc/validate`, { headers: { Authorization: `Bearer ${token}` } });
  for (const caller of ['alice-token', 'bob-token', 'stub-token']) {
    const { token } = await tokenFor(operated, caller, room);
    const answer = await validate(token);
    expect([answer.status, await answer.text()]).toEqual([200, 'success']);

    // The same token, with the rights a Bob would like to have.
    const [header, payload, signature] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    claims.video.canPublish = true;
    claims.video.roomAdmin = true;
    const forged = Buffer.from(JSON.stringify(claims)).toString('base64url');
    expect((await validate(`${header}.${forged}.${signature}`)).status).toBe(401);
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    expect((await validate(`${none}.${forged}.`)).status).toBe(401);
  }
});
