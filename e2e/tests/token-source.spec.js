// LiveKit's standard path, from a page of another origin: TokenSource.endpoint
// on /api/token, TokenSource.custom with the door's own helper on /api/join.
import { expectMovingPicture, mediaSent, picture } from '../lib/people.js';
import { expect, test } from '../lib/test.js';

const WAYS = { endpoint: '/api/token', custom: '/api/join' };

/** Opens the customer's page, noting the browser's own CORS preflights. */
async function open(page, origin) {
  const preflights = [];
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  cdp.on('Network.requestWillBeSent', ({ request }) => {
    if (request.method === 'OPTIONS') preflights.push(`${request.method} ${new URL(request.url).pathname}`);
  });
  await page.goto(origin);
  await page.waitForFunction(() => window.customer);
  return preflights;
}

async function enter(page, way, door, token, options) {
  return page.evaluate(
    async ([how, address, credential, wishes]) => {
      const given = await window.customer.details(how, address, credential, wishes);
      return { given, own: await window.customer.connect(given) };
    },
    [way, door, token, options],
  );
}

for (const [way, path] of Object.entries(WAYS)) {
  test(`TokenSource.${way}: Alice publishes, Bob sees her, and LiveKit refuses Bob`, async ({ world, person, room }) => {
    const [alice, bob] = [await person(), await person()];
    const preflights = await open(alice, world.customer);
    await open(bob, world.customer);

    const first = await enter(alice, way, world.url, 'alice-token', { roomName: room, participantName: 'Alice' });
    expect(first.given.serverUrl).toBe(world.livekit);
    expect(first.own).toEqual({ identity: 'alice', canPublish: true, canPublishData: true, canSubscribe: true });
    expect(preflights, 'asked by the browser before the POST').toContain(`OPTIONS ${path}`);
    const published = await alice.evaluate(() => window.customer.camera());
    expect(published).toEqual({ sid: expect.stringMatching(/^TR_/), source: 'camera' });

    const second = await enter(bob, way, world.url, 'bob-token', { roomName: room });
    expect(second.own).toEqual({ identity: 'bob', canPublish: false, canPublishData: false, canSubscribe: true });
    const frames = await expectMovingPicture(bob);
    test.info().annotations.push({ type: 'frames', description: `${frames} decoded by Bob` });
    const seen = await picture(bob.locator('#remote'));
    expect(seen.width).toBeGreaterThan(0);
    expect(seen.contrast, 'not a black picture').toBeGreaterThan(40);

    const refused = await bob.evaluate(() => window.customer.refusal(() => window.customer.camera()));
    expect(refused).toMatchObject({ name: 'PublishTrackError', message: expect.stringContaining('insufficient permissions') });
    expect(await mediaSent(bob)).toBe(0);
    await expect.poll(() => alice.evaluate(() => window.customer.others())).toEqual([{ identity: 'bob', canPublish: false, tracks: 0 }]);
  });
}

test('an origin that is not listed gets nothing', async ({ world, person }) => {
  const page = await person({ allow: [/CORS policy/, /Failed to load resource: net::ERR_FAILED/] });
  await open(page, world.stranger);
  const outcome = (way) =>
    page.evaluate(([how, door]) => window.customer.refusal(() => window.customer.details(how, door, 'alice-token', { roomName: 'r' })), [way, world.url]);
  expect(await outcome('endpoint')).toMatchObject({ name: 'TypeError', message: 'Failed to fetch' });
  // The helper itself may be loaded by any page; what it asks for may not be read.
  expect(await outcome('custom')).toMatchObject({ name: 'JoinError', code: 'network_error', status: 0 });
});

test('a refusal can be read by a page of another origin', async ({ world, person }) => {
  const page = await person({ allow: [/status of 401/] });
  await open(page, world.customer);
  const outcome = (way) =>
    page.evaluate(([how, door]) => window.customer.refusal(() => window.customer.details(how, door, 'wrong-token', { roomName: 'r' })), [way, world.url]);
  expect(await outcome('custom')).toMatchObject({ name: 'JoinError', code: 'invalid_token', status: 401 });
  expect((await outcome('endpoint')).message).toContain('invalid_token');
});
