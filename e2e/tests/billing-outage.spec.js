// Stripe away, or answering nonsense: who has paid goes on, who has not gains
// nothing, and joins take no longer.
import { median, report } from '../lib/figures.js';
import { callerToken, startPaidDoor } from '../lib/stage.js';
import { startStripe } from '../lib/stripe-double.js';
import { expect, test } from '../lib/test.js';

const JOINS = 200;

async function open(livekit) {
  const stripe = await startStripe();
  const plan = stripe.plan('publish');
  const paid = stripe.customer({ metadata: { user_id: 'ann' } });
  const sub = stripe.subscribe(paid, plan);
  const unpaid = stripe.customer({ metadata: { user_id: 'bob' } });
  const door = await startPaidDoor(livekit, stripe);
  await door.quiet();
  const [ann, bob] = [await callerToken('ann'), await callerToken('bob')];
  expect(await door.publishes(ann)).toBe(true);
  expect(await door.publishes(bob)).toBe('no_subscription');
  return { stripe, plan, paid, sub, unpaid, door, ann, bob, async close() { await door.stop(); await stripe.stop(); } };
}

/** Times of joins, one after another, in milliseconds. */
async function joins(door, token, count) {
  const [times, answers] = [[], new Set()];
  for (let n = 0; n < count; n++) {
    const began = performance.now();
    answers.add(await door.publishes(token));
    times.push(performance.now() - began);
  }
  expect([...answers]).toEqual([true]);
  return times;
}

test('a join takes as long with Stripe hanging, and asks Stripe nothing', async ({ livekit }) => {
  const { stripe, plan, paid, door, ann, close } = await open(livekit);
  await joins(door, ann, JOINS); // warm
  let since = Date.now();
  const up = await joins(door, ann, JOINS);
  expect(stripe.asked(/./, since), 'asked on joins of a known caller').toEqual([]);

  // Hanging, with twenty customers whose changes keep every worker waiting.
  stripe.fail('hang');
  since = Date.now();
  const others = Array.from({ length: 20 }, () => stripe.customer());
  for (const other of others) stripe.subscribe(other, plan);
  await expect.poll(() => stripe.asked(/customer=/, since).length).toBeGreaterThan(3);
  const hanging = await joins(door, ann, JOINS);
  expect(stripe.asked(new RegExp(paid), since), 'asked about the caller').toEqual([]);
  const ratio = median(hanging) / median(up);
  report('join with Stripe hanging', `median ${median(hanging).toFixed(2)} ms, with Stripe up ${median(up).toFixed(2)} ms, ratio ${ratio.toFixed(2)}`);
  expect(ratio).toBeLessThan(1.5);

  // A caller who was never here and names a customer waits two seconds at most, and watches.
  const stranger = stripe.customer();
  stripe.subscribe(stranger, plan);
  const token = await callerToken('new', { stripe_customer_id: stranger });
  const began = performance.now();
  expect(await door.publishes(token)).toBe('billing_unavailable');
  const waited = performance.now() - began;
  expect(waited).toBeLessThan(2300);
  const again = performance.now();
  expect(await door.publishes(token)).toBe('billing_unavailable');
  expect(performance.now() - again, 'remembered').toBeLessThan(200);
  report('first join of an unknown caller, Stripe hanging', `${waited.toFixed(0)} ms`);
  stripe.mend();
  await expect.poll(() => door.publishes(token), { timeout: 40_000, message: 'once Stripe is back' }).toBe(true);
  await close();
});

for (const [kind, words] of [
  ['unauthorized', /HTTP 401.*STRIPE_SECRET_KEY/], ['forbidden', /403/], ['rate', /HTTP 429/], ['error', /HTTP 500/], ['html', /HTTP 503/],
  ['empty', /HTTP 200/], ['page', /HTTP 200/], ['hang', /no answer in time/], ['refuse', /no connection/],
]) {
  test(`Stripe fails, ${kind}: the paid publish, the unpaid gain nothing, explain says so`, async ({ livekit }) => {
    const { stripe, plan, paid, sub, unpaid, door, ann, bob, close } = await open(livekit);
    stripe.fail(kind);
    const since = Date.now();
    // What is true now cannot be known: hers goes on, his does not begin.
    stripe.update(sub, { cancelAtPeriodEnd: true });
    const bobs = stripe.subscribe(unpaid, plan);
    await stripe.delivery.settled();
    await expect.poll(() => [paid, unpaid].filter((id) => stripe.asked(new RegExp(id), since).length > 0).length).toBe(2);
    const explained = async () => (await door.operate('GET', '/api/explain?user=ann')).steps.find(({ name }) => name === 'stripe');
    await expect.poll(async () => (await explained()).text, { message: 'explain', timeout: 8000 }).toMatch(words);
    expect((await explained()).mark).toBe('no');
    const seen = { ann: new Set(), bob: new Set() };
    for (let n = 0; n < 20; n++) {
      seen.ann.add(await door.publishes(ann));
      seen.bob.add(await door.publishes(bob));
    }
    expect([...seen.ann]).toEqual([true]);
    expect([...seen.bob]).not.toContain(true);
    expect(await door.publishes(await callerToken('new', { stripe_customer_id: unpaid })), 'a new caller of his customer').not.toBe(true);

    // Back again, what was missed is made up for.
    stripe.mend();
    stripe.cancel(sub);
    await expect.poll(() => door.publishes(bob), { timeout: 40_000, message: 'Bob has paid' }).toBe(true);
    await expect.poll(() => door.publishes(ann), { timeout: 40_000, message: 'Ann has cancelled' }).toBe('subscription_inactive');
    stripe.cancel(bobs);
    await expect.poll(() => door.publishes(bob), { timeout: 40_000 }).toBe('subscription_inactive');
    expect((await explained()).mark, 'and explain forgets it').toBe('note');
    await close();
  });
}

test('a key that loses the right to read entitlements takes nothing away, and gets it back without a loss', async ({ livekit }) => {
  const stripe = await startStripe();
  stripe.feature('publish');
  const customer = stripe.customer({ metadata: { user_id: 'ann' } });
  const sub = stripe.subscribe(customer, stripe.plan());
  stripe.entitle(customer, ['publish']);
  const door = await startPaidDoor(livekit, stripe);
  await door.quiet();
  const ann = await callerToken('ann');
  expect(await door.publishes(ann)).toBe(true);
  stripe.fail('forbidden', { only: /\/v1\/entitlements/ });
  await door.operate('POST', '/api/sync');
  const since = Date.now();
  stripe.update(sub, { paused: true }); // has the customer read again
  await expect.poll(() => stripe.asked(new RegExp(`subscriptions.*${customer}`), since).length).toBeGreaterThan(0);
  await stripe.delivery.settled();
  await door.quiet();
  expect(await door.publishes(ann)).toBe(true);
  expect((await door.operate('GET', '/api/explain?user=ann')).steps).toContainEqual(expect.objectContaining({ name: 'stripe', text: expect.stringMatching(/may not read entitlements/) }));
  stripe.mend();
  await door.operate('POST', '/api/sync');
  expect(await door.publishes(ann)).toBe(true);
  stripe.entitle(customer, []);
  await expect.poll(() => door.publishes(ann)).toBe('feature_not_in_plan');
  await door.stop();
  await stripe.stop();
});

test('lost events of products and entitlements: the operator’s sync finds what they told', async ({ livekit }) => {
  const stripe = await startStripe();
  stripe.feature('other');
  const product = stripe.product();
  stripe.subscribe(stripe.customer({ metadata: { user_id: 'ann' } }), stripe.price(product));
  const customer = stripe.customer({ metadata: { user_id: 'bob' } });
  stripe.subscribe(customer, stripe.plan());
  const door = await startPaidDoor(livekit, stripe);
  stripe.delivery.url = null;
  await door.quiet();
  const [ann, bob] = [await callerToken('ann'), await callerToken('bob')];
  expect([await door.publishes(ann), await door.publishes(bob)]).toEqual(['feature_not_in_plan', 'feature_not_in_plan']);
  stripe.setFeatures(product, 'publish');
  stripe.entitle(customer, ['publish']);
  await door.operate('POST', '/api/sync');
  expect([await door.publishes(ann), await door.publishes(bob)]).toEqual([true, true]);
  await door.stop();
  await stripe.stop();
});

test('started for the first time while Stripe is away, the door is closed, and open as soon as Stripe answers', async ({ livekit }) => {
  const { stripe, door, ann, bob, plan, unpaid } = await open(livekit);
  await door.stop();
  await stripe.stop();
  // Its database is gone with it, so that nobody is known.
  const next = await startStripe();
  next.state = stripe.state;
  next.fail('refuse');
  const second = await startPaidDoor(livekit, next);
  expect((await fetch(`${second.url}/readyz`)).status, 'Stripe is no reason to take no callers').toBe(200);
  expect(await second.publishes(ann)).not.toBe(true);
  next.subscribe(unpaid, plan);
  next.mend();
  await expect.poll(() => second.publishes(ann), { timeout: 40_000 }).toBe(true);
  await expect.poll(() => second.publishes(bob), { timeout: 40_000 }).toBe(true);
  await second.stop();
  await next.stop();
});
