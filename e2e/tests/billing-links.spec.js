// Who is whose customer: by the caller's own token, by a Checkout session, by
// the customer's metadata; never by an e-mail address, and never so that a
// stranger takes anything away.
import { callerToken, startPaidDoor } from '../lib/stage.js';
import { startStripe } from '../lib/stripe-double.js';
import { expect, test } from '../lib/test.js';

async function open(livekit, environment) {
  const stripe = await startStripe();
  const plan = stripe.plan('publish');
  const door = await startPaidDoor(livekit, stripe, environment);
  await door.quiet();
  /** Waits until a caller's rights are these, and hints are all answered. */
  const expectRights = async (token, rights, message) => {
    await expect.poll(() => door.publishes(token), { message, intervals: [20] }).toBe(rights);
    await stripe.delivery.settled();
    await door.quiet();
    expect(await door.publishes(token), `${message}, and it stays`).toBe(rights);
  };
  return { stripe, plan, door, expectRights, async close() { await door.stop(); await stripe.stop(); } };
}

test('the token’s claims name the customer or the subscription', async ({ livekit }) => {
  const { stripe, plan, door, expectRights, close } = await open(livekit);
  const customer = stripe.customer();
  const sub = stripe.subscribe(customer, plan);
  const byCustomer = await callerToken('ann', { stripe_customer_id: customer });
  const bySubscription = await callerToken('bob', { subscriptionId: sub });
  await expectRights(byCustomer, true, 'stripe_customer_id');
  await expectRights(bySubscription, true, 'subscriptionId');
  // A team: one customer, two callers; each change is both's.
  stripe.update(sub, { status: 'past_due' });
  await expectRights(byCustomer, 'subscription_inactive', 'past due, Ann');
  await expectRights(bySubscription, 'subscription_inactive', 'past due, Bob');
  stripe.update(sub, { status: 'active' });
  await expectRights(byCustomer, true, 'paid, Ann');
  await expectRights(bySubscription, true, 'paid, Bob');

  // The first request of somebody whom nobody has heard of waits for Stripe, and is right at once.
  stripe.delivery.url = null;
  const late = stripe.customer();
  const lateSub = stripe.subscribe(late, plan);
  expect(await door.publishes(await callerToken('cy', { stripe_customer_id: late }))).toBe(true);
  expect(await door.publishes(await callerToken('dora', { subscriptionId: lateSub }))).toBe(true);
  const nothing = [];
  for (const claims of [{ stripe_customer_id: 'cus_nobody' }, { subscriptionId: 'sub_nobody' }, { stripe_customer_id: 'prod_x' }, { stripe_customer_id: 7 }, { stripe_customer_id: ['cus_1'] }, { subscriptionId: customer }]) {
    nothing.push(await door.publishes(await callerToken(`eve-${nothing.length}`, claims)));
  }
  expect(nothing).toEqual(Array(6).fill('no_subscription'));

  // The newest token counts, and an older one does not bring back what it said.
  const moved = stripe.customer();
  await new Promise((done) => setTimeout(done, 1100)); // iat has whole seconds
  const newer = await callerToken('ann', { stripe_customer_id: moved });
  expect(await door.publishes(newer)).toBe('no_subscription');
  expect(await door.publishes(byCustomer), 'the older token').toBe('no_subscription');
  await close();
});

test('claims have other names where the operator says so', async ({ livekit }) => {
  const { stripe, plan, door, close } = await open(livekit, { CUSTOMER_CLAIM: 'https://example.com/app.customer', SUBSCRIPTION_CLAIM: 'app_metadata.sub' });
  const customer = stripe.customer();
  const sub = stripe.subscribe(customer, plan);
  await stripe.delivery.settled();
  expect(await door.publishes(await callerToken('ann', { 'https://example.com/app': { customer } }))).toBe(true);
  expect(await door.publishes(await callerToken('bob', { app_metadata: { sub } }))).toBe(true);
  expect(await door.publishes(await callerToken('cy', { stripe_customer_id: customer, subscriptionId: sub }))).toBe('no_subscription');
  await close();
});

test('a Checkout session’s client_reference_id and a customer’s metadata name the caller', async ({ livekit }) => {
  const { stripe, plan, expectRights, close } = await open(livekit);
  const [ann, auth0, meta, metaAuth0] = await Promise.all(['ann', 'auth0|123', 'meta', 'auth0|456'].map((subject) => callerToken(subject)));
  for (const caller of [ann, auth0, meta, metaAuth0]) await expectRights(caller, 'no_subscription', 'before');
  const encoded = (subject) => `b64_${Buffer.from(subject).toString('base64url')}`;
  const one = stripe.checkout('ann', plan);
  await expectRights(ann, true, 'client_reference_id');
  stripe.checkout(encoded('auth0|123'), plan);
  await expectRights(auth0, true, 'client_reference_id in base64url');
  const customer = stripe.customer({ metadata: { user_id: 'meta' } });
  stripe.subscribe(customer, plan);
  await expectRights(meta, true, 'user_id in metadata');
  stripe.subscribe(stripe.customer({ metadata: { user_id: encoded('auth0|456') } }), plan);
  await expectRights(metaAuth0, true, 'user_id in metadata, in base64url');

  // What the operator writes anew moves the link; what a payer wrote stays.
  stripe.setMetadata(customer, { user_id: 'somebody else' });
  await expectRights(meta, 'no_subscription', 'user_id names another');
  stripe.cancel(one.subscription);
  await expectRights(ann, 'subscription_inactive', 'cancelled');
  await close();
});

test('never an e-mail address, and no near miss of a name', async ({ livekit }) => {
  const { stripe, plan, door, close } = await open(livekit);
  stripe.subscribe(stripe.customer({ email: 'ann@example.com' }), plan);
  stripe.checkout('ann@example.com', plan, { customer: stripe.customer({ email: 'ann@example.com' }) });
  stripe.checkout('Ann', plan);
  stripe.checkout('ann ', plan);
  stripe.checkout(' ann', plan);
  stripe.checkout('b64_', plan);
  stripe.checkout('', plan);
  stripe.checkout(null, plan);
  stripe.subscribe(stripe.customer({ metadata: { user: 'ann', userId: 'ann', email: 'ann@example.com' } }), plan);
  await stripe.delivery.settled();
  await door.quiet();
  const claims = { email: 'ann@example.com', email_verified: true };
  expect(await door.publishes(await callerToken('ann', claims))).toBe('no_subscription');
  expect(await door.publishes(await callerToken('b64_', claims))).toBe('no_subscription');
  // Who is called as an encoded name is written has an encoded name alone.
  stripe.checkout(`b64_${Buffer.from('vic').toString('base64url')}`, plan);
  await stripe.delivery.settled();
  await door.quiet();
  expect(await door.publishes(await callerToken(`b64_${Buffer.from('vic').toString('base64url')}`))).toBe('no_subscription');
  expect(await door.publishes(await callerToken('vic'))).toBe(true);
  await close();
});

test('a stranger’s Payment Link in the victim’s name adds and never takes', async ({ livekit }) => {
  const { stripe, plan, door, expectRights, close } = await open(livekit);
  const poor = stripe.plan('watch');
  const victim = await callerToken('victim');
  const own = stripe.checkout('victim', plan);
  await expectRights(victim, true, 'her own');

  const stranger = stripe.checkout('victim', poor);
  await expectRights(victim, true, 'beside a stranger’s plan without the feature');
  stripe.cancel(stranger.subscription);
  await expectRights(victim, true, 'after the stranger’s was cancelled');
  stripe.setMetadata(stranger.customer, { user_id: 'the stranger' });
  await expectRights(victim, true, 'after the stranger’s customer was named');

  // A hundred more do not crowd hers out, nor does one with a hundred subscriptions.
  stripe.delivery.url = null; // so many at once are listed
  for (let n = 0; n < 110; n++) stripe.checkout('victim', poor, { customer: stranger.customer });
  for (let n = 0; n < 110; n++) stripe.checkout('victim', poor);
  await door.operate('POST', '/api/sync');
  await door.quiet(40_000);
  await expectRights(victim, true, 'beside a hundred strangers');
  stripe.delivery.url = `${door.url}/webhooks/stripe`;

  // Nor does she get what is the stranger's alone once it is gone, or lose what is hers by it.
  stripe.cancel(own.subscription);
  await expectRights(victim, 'feature_not_in_plan', 'hers is cancelled, strangers pay for watching');
  await close();
});

test('every feature counts, of every subscription that counts', async ({ livekit }) => {
  const { stripe, door, expectRights, close } = await open(livekit);
  const ann = await callerToken('ann');
  const customer = stripe.customer({ metadata: { user_id: 'ann' } });
  const [none, byPrice, byList] = [stripe.plan(), stripe.price(stripe.product(), 'record,publish'), stripe.plan('["watch", "publish"]')];
  const sub = stripe.subscribe(customer, none);
  await expectRights(ann, 'feature_not_in_plan', 'no feature');
  const product = stripe.state.prices.get(none).product;
  stripe.setFeatures(product, 'publish');
  await expectRights(ann, true, 'the product has it now');
  stripe.setFeatures(product, 'republish, publish2, PUBLISH');
  await expectRights(ann, 'feature_not_in_plan', 'names that are like it');
  stripe.setFeatures(product, '["publish"');
  await expectRights(ann, 'feature_not_in_plan', 'a list that cannot be read');
  stripe.update(sub, { price: byPrice });
  await expectRights(ann, true, 'the price has it');
  stripe.update(sub, { price: none });
  const second = stripe.subscribe(customer, byList, { status: 'trialing' });
  await expectRights(ann, true, 'a second subscription, on trial');
  for (const status of ['past_due', 'unpaid', 'paused', 'incomplete', 'incomplete_expired']) {
    stripe.update(second, { status });
    await expectRights(ann, 'feature_not_in_plan', status);
  }
  stripe.cancel(second);

  // Twelve items: more than a subscription shows, so that the last ones have to be listed.
  const long = stripe.subscribe(customer, [...Array.from({ length: 11 }, () => stripe.plan()), byPrice]);
  await expectRights(ann, true, 'the twelfth item');
  stripe.cancel(long);
  await expectRights(ann, 'feature_not_in_plan', 'cancelled');

  // Stripe's own entitlements count beside a subscription that counts, and by themselves never.
  stripe.feature('publish');
  stripe.entitle(customer, ['publish']);
  await expectRights(ann, true, 'entitled');
  stripe.update(sub, { status: 'paused' });
  await expectRights(ann, 'subscription_inactive', 'paused, and Stripe still lists the entitlement');
  expect(await door.operate('GET', '/api/explain?user=ann')).toMatchObject({ steps: expect.arrayContaining([expect.objectContaining({ name: 'entitlements', mark: 'no' })]) });
  await close();
});

test('a known end comes without an event', async ({ livekit }) => {
  const { stripe, plan, door, close } = await open(livekit);
  const names = ['at-a-date', 'at-the-end', 'renewing'];
  const tokens = await Promise.all(names.map((name) => callerToken(name)));
  const subs = names.map((name) => stripe.subscribe(stripe.customer({ metadata: { user_id: name } }), plan));
  const soon = Math.ceil(Date.now() / 1000) * 1000 + 3000;
  stripe.update(subs[0], { cancelAt: soon });
  stripe.update(subs[1], { cancelAtPeriodEnd: true, periodEnd: soon });
  stripe.update(subs[2], { periodEnd: soon });
  await stripe.delivery.settled();
  await door.quiet();
  stripe.fail('hang'); // nobody tells
  const rights = () => Promise.all(tokens.map((token) => door.publishes(token)));
  expect(Date.now(), 'in time').toBeLessThan(soon - 300);
  expect(await rights()).toEqual([true, true, true]);
  await new Promise((done) => setTimeout(done, soon - Date.now() + 50));
  expect(await rights()).toEqual(['subscription_inactive', 'subscription_inactive', true]);
  await close();
});
