// Stripe's events at the door: what proves one, and what one does.
import { randomBytes } from 'node:crypto';
import { post } from '../lib/door.js';
import { callerToken, startPaidDoor } from '../lib/stage.js';
import { sign } from '../lib/stripe-delivery.js';
import { startStripe } from '../lib/stripe-double.js';
import { snapshotEvent, thinEvent } from '../lib/stripe-objects.js';
import { expect, test } from '../lib/test.js';

const MINUTE = 60_000;

/** Posts bytes with a header and gives what the door says: a status and its code. */
async function deliver(door, payload, signature) {
  const answer = await fetch(`${door.url}/webhooks/stripe`, {
    method: 'POST', body: payload, headers: { 'Content-Type': 'application/json', ...(signature !== undefined && { 'Stripe-Signature': signature }) },
  });
  const body = await answer.json();
  return `${answer.status} ${body.code ?? 'taken'}`;
}

async function open(livekit, environment) {
  const stripe = await startStripe();
  const door = await startPaidDoor(livekit, stripe, environment?.(stripe));
  stripe.delivery.url = null; // each test posts for itself
  await door.quiet();
  return { stripe, door, async close() { await door.stop(); await stripe.stop(); } };
}

test('the official library’s signature is taken, and none that is wrong in anything', async ({ livekit }) => {
  const { stripe, door, close } = await open(livekit);
  const customer = stripe.customer();
  const event = (id) => JSON.stringify({ ...snapshotEvent({ id, type: 'customer.updated', created: Date.now(), object: { id: customer, object: 'customer' } }) });
  const now = Date.now();
  const payload = event('evt_1');
  const good = sign(payload, stripe.secret);
  const [time, proof] = good.split(',');
  const forged = proof.slice(0, -1) + (proof.endsWith('0') ? '1' : '0');

  for (const [what, body, header] of [
    ['another secret', payload, sign(payload, `whsec_${randomBytes(18).toString('hex')}`)],
    ['an empty secret', payload, sign(payload, ' ').replace(/v1=.*/, `v1=${'0'.repeat(64)}`)],
    ['more than five minutes old', payload, sign(payload, stripe.secret, now - 5.2 * MINUTE)],
    ['more than five minutes ahead', payload, sign(payload, stripe.secret, now + 5.2 * MINUTE)],
    ['a year ahead', payload, sign(payload, stripe.secret, now + 525_600 * MINUTE)],
    ['no header', payload, undefined],
    ['an empty header', payload, ''],
    ['another body', payload.replace('evt_1', 'evt_2'), good],
    ['one space more', `${payload} `, good],
    ['a changed proof', payload, `${time},${forged}`],
    ['another scheme alone', payload, `${time},${proof.replace('v1=', 'v0=')}`],
    ['a second time', payload, `${good},t=${Math.floor(now / 1000) + 1}`],
    ['no time', payload, proof],
    ['no number for a time', payload, `t=soon,${proof}`],
  ]) {
    expect.soft([what, await deliver(door, body, header)]).toEqual([what, '400 invalid_signature']);
  }
  const twice = await post(`${door.url}/webhooks/stripe`, '', payload, { 'Stripe-Signature': `${good}, ${good}` });
  expect(twice.status, 'two headers that a proxy made one').toBe(400);
  expect(await door.billing()).toMatchObject({ eventsTaken: 0, eventsDuplicate: 0 });

  // Just within bounds, and with an old proof beside the right one, as while Stripe rotates.
  expect(await deliver(door, payload, good)).toBe('200 taken');
  expect(await deliver(door, event('evt_3'), sign(event('evt_3'), stripe.secret, now - 4.8 * MINUTE))).toBe('200 taken');
  expect(await deliver(door, event('evt_4'), sign(event('evt_4'), stripe.secret, now + 4.8 * MINUTE))).toBe('200 taken');
  const both = sign(event('evt_5'), stripe.secret).split(',');
  expect(await deliver(door, event('evt_5'), `${both[0]},v1=${'0'.repeat(64)},${both[1]}`)).toBe('200 taken');

  // Proved, and yet no event.
  for (const body of ['', '{}', 'null', '[]', '"evt_1"', '{"id":"evt_6","object":"event"', '{"id":"evt_6","object":"charge","type":"x","livemode":false}']) {
    expect.soft([body, await deliver(door, body, sign(body, stripe.secret))]).toEqual([body, '400 invalid_event']);
  }
  const get = await fetch(`${door.url}/webhooks/stripe`);
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
  await close();
});

test('two secrets count while one is rotated', async ({ livekit }) => {
  const next = `whsec_${randomBytes(18).toString('hex')}`;
  const { stripe, door, close } = await open(livekit, ({ secret }) => ({ STRIPE_WEBHOOK_SECRET: `${next},${secret}` }));
  const payload = (id) => JSON.stringify(snapshotEvent({ id, type: 'customer.updated', created: Date.now(), object: { id: 'cus_1', object: 'customer' } }));
  expect(await deliver(door, payload('evt_1'), sign(payload('evt_1'), stripe.secret))).toBe('200 taken');
  expect(await deliver(door, payload('evt_2'), sign(payload('evt_2'), next))).toBe('200 taken');
  expect(await deliver(door, payload('evt_3'), sign(payload('evt_3'), `${next},${stripe.secret}`))).toBe('400 invalid_signature');
  await close();
});

test('events of the other mode are answered and ignored, those of connected accounts ask nothing', async ({ livekit }) => {
  const { stripe, door, close } = await open(livekit);
  const customer = stripe.customer();
  const before = Date.now();
  const base = snapshotEvent({ id: 'evt_live', type: 'customer.updated', created: Date.now(), object: { id: customer, object: 'customer' } });
  const live = JSON.stringify({ ...base, livemode: true });
  expect(await deliver(door, live, sign(live, stripe.secret))).toBe('200 taken');
  expect(await door.billing()).toMatchObject({ testMode: true, eventsTaken: 0, eventsOfTheOtherMode: 1 });
  const connected = JSON.stringify({ ...base, id: 'evt_connected', account: 'acct_1' });
  expect(await deliver(door, connected, sign(connected, stripe.secret))).toBe('200 taken');
  const unknown = JSON.stringify({ ...base, id: 'evt_unknown', type: 'treasury.something.invented' });
  expect(await deliver(door, unknown, sign(unknown, stripe.secret))).toBe('200 taken');
  // Of whatever version the account is: the body is a hint alone.
  const other = JSON.stringify({ ...base, id: 'evt_version', api_version: '2020-08-27' });
  await new Promise((done) => setTimeout(done, 200));
  expect(stripe.asked(/^GET \/v1\/subscriptions\?/, before), 'nothing was asked for').toEqual([]);
  expect(await deliver(door, other, sign(other, stripe.secret))).toBe('200 taken');
  await expect.poll(() => stripe.asked(new RegExp(`customer=${customer}`), before).length).toBeGreaterThan(0);
  await close();
});

test('an event of 1 MiB is taken, one byte more is not', async ({ livekit }) => {
  const { stripe, door, close } = await open(livekit);
  const of = (bytes) => {
    const event = snapshotEvent({ id: `evt_${bytes}`, type: 'customer.updated', created: Date.now(), object: { id: 'cus_1', object: 'customer', description: '' } });
    event.data.object.description = 'x'.repeat(bytes - JSON.stringify(event).length);
    return JSON.stringify(event);
  };
  expect(await deliver(door, of(2 ** 20), sign(of(2 ** 20), stripe.secret))).toBe('200 taken');
  expect(await deliver(door, of(2 ** 20 + 1), sign(of(2 ** 20 + 1), stripe.secret))).toBe('413 body_too_large');
  // Without a length that says so beforehand.
  const chunks = new Blob([of(2 ** 20 + 1)]).stream();
  const answer = await fetch(`${door.url}/webhooks/stripe`, { method: 'POST', body: chunks, duplex: 'half', headers: { 'Stripe-Signature': sign(of(2 ** 20 + 1), stripe.secret) } });
  expect([answer.status, (await answer.json()).code]).toEqual([413, 'body_too_large']);
  await close();
});

test('duplicates and any order do no harm, and what an event says counts for nothing', async ({ livekit }) => {
  const { stripe, door, close } = await open(livekit);
  const plan = stripe.plan('publish');
  const customer = stripe.customer({ metadata: { user_id: 'ann' } });
  const ann = await callerToken('ann');
  const sub = stripe.subscribe(customer, plan);
  const created = stripe.state.events.at(-1);
  const paused = stripe.update(sub, { status: 'unpaid' });
  const resumed = stripe.update(sub, { status: 'active' });
  const send = (event) => stripe.delivery.post(event, { url: `${door.url}/webhooks/stripe` });

  // Last first, each twice, all at once: Stripe says active, so active it is.
  expect(await Promise.all([resumed, paused, created, created, paused, resumed].map(send))).toEqual([200, 200, 200, 200, 200, 200]);
  await expect.poll(() => door.publishes(ann)).toBe(true);
  await door.quiet();
  expect(await door.publishes(ann), 'a late event does not undo it').toBe(true);
  expect(await door.billing()).toMatchObject({ eventsDuplicate: 3 });

  // The other way round: an old event that says active, while Stripe says canceled.
  const canceled = stripe.cancel(sub);
  expect(await Promise.all([canceled, { ...resumed, id: 'evt_lie' }].map(send))).toEqual([200, 200]);
  await expect.poll(() => door.publishes(ann)).toBe('subscription_inactive');
  await door.quiet();
  const before = Date.now();
  expect(await send(canceled), 'sent again by hand, with a new signature').toBe(200);
  await new Promise((done) => setTimeout(done, 200));
  expect(stripe.asked(/customer=/, before), 'nothing is asked for a second time').toEqual([]);
  expect(await door.publishes(ann)).toBe('subscription_inactive');
  await close();
});

test('thin events: each kind leads to its customer', async ({ livekit }) => {
  const { stripe, door, close } = await open(livekit);
  const [plan, empty] = [stripe.plan('publish'), stripe.product()];
  const send = async (event) => expect(await deliver(door, JSON.stringify(thinEvent(event)), sign(JSON.stringify(thinEvent(event)), stripe.secret))).toBe('200 taken');
  const last = () => stripe.state.events.at(-1);

  const customer = stripe.customer();
  await send(last());
  await door.quiet();
  const ann = await callerToken('ann');
  expect(await door.publishes(ann)).toBe('no_subscription');
  await send(stripe.setMetadata(customer, { user_id: 'ann' }));
  const sub = stripe.subscribe(customer, plan);
  await send(last());
  await expect.poll(() => door.publishes(ann), { message: 'v1.customer.subscription.created' }).toBe(true);
  await send(stripe.cancel(sub));
  await expect.poll(() => door.publishes(ann), { message: 'v1.customer.subscription.deleted' }).toBe('subscription_inactive');

  stripe.checkout('bob', plan);
  await send(last());
  const bob = await callerToken('bob');
  await expect.poll(() => door.publishes(bob), { message: 'v1.checkout.session.completed' }).toBe(true);

  stripe.subscribe(customer, stripe.price(empty));
  await send(last());
  await expect.poll(() => door.publishes(ann)).toBe('feature_not_in_plan');
  await send(stripe.setFeatures(empty, 'publish, record'));
  await expect.poll(() => door.publishes(ann), { message: 'v1.product.updated' }).toBe(true);
  await close();
});
