// What operators type: against a running door, and against its database where
// none runs.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { post } from '../lib/door.js';
import { bareEnvironment, emptyDirectory, STAGEDOOR } from '../lib/program.js';
import { callerToken, settings, startPaidDoor } from '../lib/stage.js';
import { startStripe } from '../lib/stripe-double.js';
import { expect, test } from '../lib/test.js';

/** Runs a command to its end, whatever its status. */
function stagedoor(environment, ...args) {
  const directory = emptyDirectory();
  return new Promise((done) => {
    execFile(STAGEDOOR, args, { env: bareEnvironment(environment), cwd: directory, timeout: 20_000 }, (error, out, err) => {
      rmSync(directory, { recursive: true });
      done({ status: error?.code ?? 0, out, err });
    });
  });
}

/** The lines of an explanation: "✓ features publish (3 s ago)". */
const steps = ({ out }) => out.split('\n').slice(2).filter(Boolean).map((line) => line.trim().replace(/\s+/g, ' '));

test('explain, ban, unban, bans and sync, at a running door and at its database', async ({ livekit }) => {
  const directory = emptyDirectory();
  const database = `sqlite:${path.join(directory, 'door.db')}`;
  const stripe = await startStripe();
  const ann = stripe.customer({ metadata: { user_id: 'ann' } });
  stripe.subscribe(ann, stripe.plan('publish'));
  const team = stripe.customer();
  stripe.subscribe(team, stripe.plan('watch'));
  const late = stripe.subscribe(team, stripe.plan('publish'), { status: 'past_due' });
  const door = await startPaidDoor(livekit, stripe, { DATABASE_URL: database });
  await door.quiet();
  const token = await callerToken('ann');
  const bob = await callerToken('bob', { stripe_customer_id: team });
  await door.join(token);
  await door.join(bob);
  const status = async (who) => {
    const answer = await post(`${door.url}/api/join`, who, { room: 'stage' });
    return `${answer.status} ${answer.body.code ?? answer.body.permissions.canPublish}`;
  };

  const running = { ADMIN_URL: door.admin };
  // Nobody answers at port 1, so that the database is opened; it is the same one.
  const direct = settings(livekit, stripe, { DATABASE_URL: database, ADMIN_ADDR: '127.0.0.1:1' });
  for (const environment of [running, direct]) {
    const cli = (...args) => stagedoor(environment, ...args);
    expect(await cli('bans')).toEqual({ status: 0, out: 'Nobody is banned.\n', err: '' });

    const why = await cli('explain', '--user', 'ann', '--room', 'stage');
    expect(why).toMatchObject({ status: 0, err: '' });
    expect(steps(why)).toEqual([
      '✓ issuer shared-secret, subject ann', '✓ identity ann', expect.stringMatching(/^· stripe .*test key/),
      expect.stringMatching(new RegExp(`^✓ link ${ann}, by user_id in the customer's metadata \\(.*(now|ago)\\)$`)),
      expect.stringMatching(/^✓ subscription sub_\w+ is active: counts, includes publish$/), '✓ features publish',
      '✓ decision may join stage and publish', '· presence not in stage now',
    ]);
    const not = steps(await cli('explain', '--user', 'bob', '--room', 'stage'));
    expect(not).toContainEqual(expect.stringContaining(`✓ link ${team}, by the token's claim stripe_customer_id`));
    expect(not).toContainEqual(`✗ subscription ${late} is past_due: does not count`);
    expect(not).toContainEqual('✗ decision may join stage and watch; publishing is withheld: feature_not_in_plan');
    const stranger = await cli('explain', '--user', 'nobody');
    expect(stranger.status).toBe(0);
    expect(steps(stranger)[0]).toMatch(/^· caller nobody .* has not been here yet/);
    expect(steps(stranger).at(-1)).toMatch(/^· decision unknown until their first token/);
    const json = JSON.parse((await cli('explain', '--user', 'ann', '--json')).out);
    expect(json.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['issuer', 'link', 'subscription', 'features', 'decision']));

    const ban = await cli('ban', 'ann', '--for', '1h', '--reason', 'shouts at people');
    expect(ban).toMatchObject({ status: 0, out: expect.stringMatching(/^ban_\w+: ann is kept out of every room until 20\S+Z\n$/) });
    expect(ban.err).toMatch(environment === running ? /^$/ : /within two seconds/);
    await expect.poll(() => status(token), { timeout: 3000 }).toBe('403 banned');
    await cli('ban', 'ann', '--room', 'stage');
    const list = await cli('bans', '--user', 'ann');
    expect(list.out).toMatch(/^BAN\s+WHO\s+ISSUER\s+OUT OF\s+REASON\n/);
    expect(list.out).toMatch(/\nban_\w+\s+ann\s+shared-secret\s+every room until \S+\s+shouts at people\n/);
    expect(list.out).toMatch(/\nban_\w+\s+ann\s+shared-secret\s+stage for good\s*\n/);
    expect(JSON.parse((await cli('bans', '--json')).out).bans).toHaveLength(2);
    expect(steps(await cli('explain', '--user', 'ann', '--room', 'stage'))).toEqual(expect.arrayContaining([
      expect.stringMatching(/^✗ ban ban_\w+ keeps them out of every room until \S+: shouts at people$/), '✗ decision may not join stage: banned',
    ]));
    expect(await cli('unban', 'ann', '--room', 'stage')).toMatchObject({ status: 0, out: expect.stringMatching(/^ban_\w+ is lifted: ann\n/) });
    expect(await status(token), 'the other ban is in force').toBe('403 banned');
    const [, id] = ban.out.match(/^(ban_\w+)/);
    expect(await cli('unban', id)).toMatchObject({ status: 0 });
    await expect.poll(() => status(token), { timeout: 3000 }).toBe('200 true');
    expect(await cli('unban', 'ann')).toMatchObject({ status: 1, out: '', err: 'stagedoor: ann is not banned\n' });
    expect(await cli('unban', 'ban_nosuch')).toMatchObject({ status: 1, err: expect.stringContaining('no such ban') });

    for (const wrong of [['ban'], ['ban', 'zed', '--for', '1h', '--until', '2099-01-01T00:00:00Z'], ['ban', 'zed', '--until', '2020-01-01T00:00:00Z'], ['ban', 'zed', '--for', 'soon'], ['explain']]) {
      expect(await cli(...wrong), wrong.join(' ')).toMatchObject({ status: 2, out: '' });
    }

    // A change whose event was lost.
    stripe.delivery.url = null;
    stripe.update(late, { status: 'active' });
    const sync = await cli('sync');
    expect(sync).toMatchObject({ status: 0, err: '' });
    expect(sync.out).toMatch(/events that had not arrived\s+1\n/);
    expect(sync.out).toMatch(/changes left to ask about\s+0\n/);
    await expect.poll(() => status(bob)).toBe('200 true');
    stripe.update(late, { status: 'past_due' });
    expect(JSON.parse((await cli('sync', '--json')).out)).toMatchObject({ events: 1, subscriptions: 3, customers: 2, left: 0 });
    await expect.poll(() => status(bob)).toBe('200 false');
  }

  // Stripe away: said in words, with a status, and nothing is taken as gone.
  stripe.fail('error');
  for (const environment of [running, direct]) {
    expect(await stagedoor(environment, 'sync')).toMatchObject({ status: 1, err: expect.stringMatching(/broke off: .*HTTP 500/) });
  }
  expect(await status(token)).toBe('200 true');
  expect(await stagedoor({ ADMIN_URL: livekit.api }, 'bans')).toMatchObject({ status: 1, err: expect.stringContaining('check ADMIN_URL') });
  await door.stop();
  expect(await stagedoor(running, 'bans')).toMatchObject({ status: 1, err: expect.stringContaining('does not answer') });
  expect(await stagedoor({ ADMIN_ADDR: '127.0.0.1:1' }, 'bans')).toMatchObject({ status: 1, err: expect.stringContaining('name the door in ADMIN_URL') });
  await stripe.stop();
  rmSync(directory, { recursive: true });
});

test('the admin listener wants its token, and takes no request from a page', async ({ livekit }) => {
  const stripe = await startStripe();
  const secret = 'e2e-only-operators-5tGbNhy6MjuK7iLo8PqA';
  const door = await startPaidDoor(livekit, stripe, { ADMIN_TOKEN: secret });
  expect(await stagedoor({ ADMIN_URL: door.admin }, 'bans')).toMatchObject({ status: 1, err: expect.stringContaining('ADMIN_TOKEN') });
  expect(await stagedoor({ ADMIN_URL: door.admin, ADMIN_TOKEN: secret }, 'bans')).toMatchObject({ status: 0 });
  const ask = (headers) => fetch(`${door.admin}/api/bans`, { headers }).then((answer) => answer.status);
  expect(await ask({})).toBe(401);
  expect(await ask({ Authorization: `Bearer ${secret}x` })).toBe(401);
  expect(await ask({ Authorization: `Bearer ${secret}` })).toBe(200);
  expect((await fetch(`${door.url}/api/bans`, { headers: { Authorization: `Bearer ${secret}` } })).status, 'not on the public listener').toBe(404);
  const open = await startPaidDoor(livekit, stripe);
  const forged = await fetch(`${open.admin}/api/bans`, {
    method: 'POST', body: JSON.stringify({ user: 'ann' }), headers: { 'Content-Type': 'application/json', Origin: 'http://elsewhere.example', 'Sec-Fetch-Site': 'cross-site' },
  });
  expect(forged.status).toBe(403);
  expect((await open.operate('GET', '/api/bans')).bans).toEqual([]);
  await open.stop();
  await door.stop();
  await stripe.stop();
});
