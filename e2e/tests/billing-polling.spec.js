// No webhook: the door's address cannot be reached from outside, and it learns
// of every change from Stripe's list of events.
import { report } from '../lib/figures.js';
import { callerToken, startPaidDoor } from '../lib/stage.js';
import { startStripe } from '../lib/stripe-double.js';
import { expect, test } from '../lib/test.js';

const PROMISE = 180_000;

test('without a webhook every kind of change arrives within three minutes', async ({ livekit }) => {
  test.setTimeout(PROMISE + 40_000);
  const stripe = await startStripe();
  const plan = stripe.plan('publish');
  const growing = stripe.price(stripe.product());
  const customer = (user) => stripe.customer({ metadata: { user_id: user } });
  const leaving = stripe.subscribe(customer('leaving'), plan);
  stripe.subscribe(customer('growing'), growing);
  const entitled = customer('entitled');
  stripe.subscribe(entitled, stripe.plan());
  stripe.feature('publish');
  const coming = customer('coming');
  const named = stripe.customer();
  stripe.subscribe(named, plan);
  const door = await startPaidDoor(livekit, stripe, { STRIPE_WEBHOOK_SECRET: '' });
  stripe.delivery.url = null;
  expect((await fetch(`${door.url}/webhooks/stripe`, { method: 'POST' })).status, 'the address is closed').toBe(404);
  await door.quiet();
  const users = ['leaving', 'growing', 'entitled', 'coming', 'named', 'buying'];
  const tokens = await Promise.all(users.map((user) => callerToken(user)));
  const rights = async () => Object.fromEntries(await Promise.all(tokens.map(async (token, n) => [users[n], await door.publishes(token)])));
  expect(await rights()).toEqual({
    leaving: true, growing: 'feature_not_in_plan', entitled: 'feature_not_in_plan', coming: 'no_subscription', named: 'no_subscription', buying: 'no_subscription',
  });

  const began = Date.now();
  stripe.cancel(leaving);
  stripe.setFeatures(stripe.state.prices.get(growing).product, 'publish');
  stripe.entitle(entitled, ['publish']);
  stripe.subscribe(coming, plan);
  stripe.setMetadata(named, { user_id: 'named' });
  stripe.checkout('buying', plan);
  for (let n = 0; n < 120; n++) stripe.setMetadata(named, { user_id: 'named', n: String(n) }); // more than a page of events
  const seen = {};
  await expect.poll(async () => {
    const now = await rights();
    for (const user of users) if ((now[user] === true) === (user !== 'leaving')) seen[user] ??= Math.round((Date.now() - began) / 100) / 10;
    return now;
  }, { timeout: PROMISE, intervals: [500] }).toEqual({ leaving: 'subscription_inactive', growing: true, entitled: true, coming: true, named: true, buying: true });
  report('by polling alone', `seconds after the change: ${JSON.stringify(seen)}`);
  expect(Date.now() - began).toBeLessThan(PROMISE);
  await door.stop();
  await stripe.stop();
});
