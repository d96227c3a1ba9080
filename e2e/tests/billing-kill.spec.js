// The door killed in the middle of its work, again and again: what it has
// acknowledged it knows.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { report, seeded } from '../lib/figures.js';
import { emptyDirectory } from '../lib/program.js';
import { callerToken, startPaidDoor } from '../lib/stage.js';
import { startStripe } from '../lib/stripe-double.js';
import { expect, test } from '../lib/test.js';

const ROUNDS = 10;
const LOAD = 1000; // about so many ms of webhooks in each round
const CUSTOMERS = 60;
// How many events are on their way at once.
const SENDERS = 6;

test('kill -9 under a load of events: everything acknowledged is known, and in the end all is as Stripe says', async ({ livekit }) => {
  test.setTimeout(120_000);
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seeded(seed);
  const directory = emptyDirectory();
  const stripe = await startStripe({ random });
  const plan = stripe.plan('publish');
  const people = [];
  for (let n = 0; n < CUSTOMERS; n++) {
    const customer = stripe.customer({ metadata: { user_id: `u${n}` } });
    people.push({ customer, sub: stripe.subscribe(customer, plan, { status: n % 2 ? 'active' : 'unpaid' }), token: await callerToken(`u${n}`) });
  }
  const start = async () => {
    const door = await startPaidDoor(livekit, stripe, { DATABASE_URL: `sqlite:${path.join(directory, 'door.db')}` });
    const { url } = stripe.delivery;
    stripe.delivery.url = null; // the load posts for itself
    return { ...door, hook: url };
  };
  const rights = (door) => Promise.all(people.map(({ token }) => door.publishes(token).then((right) => right === true)));
  const truth = () => people.map(({ customer }) => stripe.entitles(customer));
  let door = await start();
  await door.quiet();
  expect(await rights(door), 'at first').toEqual(truth());
  await door.kill();

  // Stripe answers nothing from here on: whatever an event says has to be kept.
  stripe.fail('error');
  const acknowledged = new Set();
  const events = new Map();
  for (let round = 0; round < ROUNDS; round++) {
    door = await start();
    const end = Date.now() + LOAD * (0.5 + random());
    const load = async () => {
      while (Date.now() < end) {
        const { sub } = people[Math.floor(random() * CUSTOMERS)];
        const event = stripe.update(sub, { status: random() < 0.5 ? 'active' : 'unpaid' });
        events.set(event.id, event);
        if ((await stripe.delivery.post(event, { url: door.hook })) === 200) acknowledged.add(event.id);
      }
    };
    const senders = Array.from({ length: SENDERS }, load);
    await new Promise((done) => setTimeout(done, end - Date.now() - 100 * random()));
    await door.kill(); // some are on their way
    await Promise.all(senders);
  }
  const lost = events.size - acknowledged.size;
  expect(acknowledged.size).toBeGreaterThan(500);

  // Each acknowledged event is a duplicate now.
  door = await start();
  const again = [...acknowledged];
  const before = (await door.billing()).eventsTaken;
  const answers = new Set();
  await Promise.all(Array.from({ length: SENDERS }, async () => {
    for (let id = again.pop(); id; id = again.pop()) answers.add(await stripe.delivery.post(events.get(id), { url: door.hook }));
  }));
  expect([...answers]).toEqual([200]);
  expect(await door.billing()).toMatchObject({ eventsDuplicate: acknowledged.size, eventsTaken: before });

  // And leads to its customer, although the list of events and the comparison of everything stay out of reach.
  await door.kill();
  stripe.fail('error', { only: /\/v1\/(events|checkout|entitlements\/features)|\/v1\/subscriptions\?(?!.*customer=)/ });
  door = await start();
  const touched = new Set([...acknowledged].map((id) => events.get(id).object.customer));
  const began = Date.now();
  const wrong = async () => {
    const [now, want] = [await rights(door), truth()];
    return people.filter(({ customer }, n) => touched.has(customer) && now[n] !== want[n]).map(({ customer }) => customer);
  };
  await expect.poll(wrong, { timeout: 75_000, intervals: [250], message: `seed ${seed}` }).toEqual([]);
  report('kill -9', `${ROUNDS} times, ${acknowledged.size} events acknowledged, ${lost} broken off, ${touched.size} customers right ${Date.now() - began} ms after Stripe is back; seed ${seed}`);
  await door.stop();
  await stripe.stop();
  rmSync(directory, { recursive: true });
});
