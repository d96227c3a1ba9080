// A Stripe of our own: the truth about a few customers in memory, its API over
// HTTP, events signed by Stripe's official library, and every way to fail.
import { randomBytes } from 'node:crypto';
import * as show from './stripe-objects.js';
import { Delivery } from './stripe-delivery.js';
import { serveStripe } from './stripe-server.js';

const MONTH = 30 * 24 * 3600_000;
const COUNT = ['active', 'trialing'];

/** Starts one. Keys and secrets are made for the run, so that none looks like somebody's. */
export async function startStripe(options = {}) {
  const stripe = new StripeDouble(options);
  await stripe.start();
  return stripe;
}

// Records are replaced, never changed, so that a snapshot costs a copy of the maps.
export class StripeDouble {
  key = `sk_test_${randomBytes(12).toString('hex')}`;
  secret = `whsec_${randomBytes(18).toString('hex')}`;
  state = { customers: new Map(), products: new Map(), prices: new Map(), subscriptions: new Map(), sessions: new Map(), entitlements: new Map(), features: [], events: [] };
  /** Every request: {at, method, path, query, status, ms}. */
  calls = [];
  /** How it fails; null: not at all. See `fail`. */
  fault = null;
  /** Reads show how things were so many milliseconds ago. */
  lag = 0;
  #past = [];
  #number = 0;

  constructor({ random = Math.random } = {}) {
    this.delivery = new Delivery(this, random);
  }

  async start() {
    this.server = await serveStripe(this);
    this.url = this.server.url;
  }

  async stop() {
    this.delivery.stop();
    await this.server.stop();
  }

  /**
   * Fails from now on: 'unauthorized', 'forbidden', 'rate', 'error', 'html' (503), 'hang', 'refuse' (breaks the
   * connection), 'empty' ({} with 200), 'page' (HTML with 200), 'slow' (ms). `only` says which requests, by
   * method and address: "GET /v1/events?…".
   */
  fail(kind, { ms = 0, only = /./ } = {}) {
    this.fault = { kind, ms, only };
  }

  /** Answers as it should from now on; who is kept waiting goes on waiting. */
  mend() {
    this.fault = null;
    this.lag = 0;
  }

  /** The requests since a time that match, by method and address. */
  asked(pattern = /./, since = 0) {
    return this.calls.filter((call) => call.at >= since && pattern.test(`${call.method} ${call.path}?${call.query}`));
  }

  /** What reads see: the truth, or how it was `lag` ago. */
  get shown() {
    if (this.lag === 0) return this.state;
    const then = Date.now() - this.lag;
    return (this.#past.findLast((each) => each.from <= then && then < each.until) ?? { state: this.state }).state;
  }

  /** Keeps how it was, changes it, and tells about it unless there is nothing to tell. */
  #change(change, type, object) {
    const now = Date.now();
    const copy = {};
    for (const [name, value] of Object.entries(this.state)) copy[name] = value instanceof Map ? new Map(value) : [...value];
    this.#past.push({ from: this.#past.at(-1)?.until ?? 0, until: now, state: copy });
    while (this.#past[0].until < now - 60_000) this.#past.shift();
    change();
    if (!type) return undefined;
    const event = { id: this.newId('evt'), type, created: now, object: object() };
    this.state.events.push(event);
    this.delivery.offer(event);
    return event;
  }

  newId(kind) {
    this.#number += 1;
    return `${kind}_${String(this.#number).padStart(4, '0')}${randomBytes(6).toString('hex')}`;
  }

  // What the operator of the account sets up.

  product(features, { name = 'A plan' } = {}) {
    const id = this.newId('prod');
    this.#change(() => this.state.products.set(id, { id, name, created: Date.now(), metadata: features ? { features } : {} }));
    return id;
  }

  price(product, features) {
    const id = this.newId('price');
    this.#change(() => this.state.prices.set(id, { id, product, created: Date.now(), metadata: features ? { features } : {} }));
    return id;
  }

  /** A price of a product of its own. */
  plan(features) {
    return this.price(this.product(features));
  }

  /** Uses Stripe's own Entitlements from now on. */
  feature(key) {
    this.#change(() => this.state.features.push(key));
    return key;
  }

  setFeatures(product, features) {
    const { state } = this;
    return this.#change(
      () => state.products.set(product, { ...state.products.get(product), metadata: features ? { features } : {} }),
      'product.updated', () => show.product(state, product),
    );
  }

  // What customers do.

  customer({ metadata = {}, email = null } = {}) {
    const id = this.newId('cus');
    this.#change(() => this.state.customers.set(id, { id, created: Date.now(), metadata, email }), 'customer.created', () => show.customer(this.state, id));
    return id;
  }

  setMetadata(customer, metadata) {
    const { state } = this;
    return this.#change(
      () => state.customers.set(customer, { ...state.customers.get(customer), metadata }),
      'customer.updated', () => show.customer(state, customer),
    );
  }

  subscribe(customer, prices, { status = 'active' } = {}) {
    const id = this.newId('sub');
    const now = Date.now();
    const items = [prices].flat().map((price) => ({ id: this.newId('si'), price }));
    this.#change(
      () => this.state.subscriptions.set(id, { id, customer, status, items, created: now, periodStart: now, periodEnd: now + MONTH }),
      'customer.subscription.created', () => show.subscription(this.state, id),
    );
    return id;
  }

  /** Changes a subscription: status, cancelAt, cancelAtPeriodEnd, periodEnd, paused, or price. */
  update(sub, { price, ...changes }) {
    const { state } = this;
    const before = state.subscriptions.get(sub);
    const items = price ? [{ ...before.items[0], price }] : before.items;
    return this.#change(
      () => state.subscriptions.set(sub, { ...before, ...changes, items }),
      'customer.subscription.updated', () => show.subscription(state, sub),
    );
  }

  cancel(sub) {
    const { state } = this;
    return this.#change(
      () => state.subscriptions.set(sub, { ...state.subscriptions.get(sub), status: 'canceled', endedAt: Date.now() }),
      'customer.subscription.deleted', () => show.subscription(state, sub),
    );
  }

  /** A Payment Link paid by a stranger or a friend: a new customer, whatever `reference` the payer put into the address, and a subscription. */
  checkout(reference, prices, { customer = this.customer() } = {}) {
    const subscription = this.subscribe(customer, prices);
    const id = this.newId('cs_test');
    this.#change(
      () => this.state.sessions.set(id, { id, reference, customer, subscription, status: 'complete', created: Date.now() }),
      'checkout.session.completed', () => show.session(this.state, id),
    );
    return { customer, subscription, session: id };
  }

  entitle(customer, keys) {
    return this.#change(
      () => this.state.entitlements.set(customer, keys),
      'entitlements.active_entitlement_summary.updated',
      () => ({
        object: 'entitlements.active_entitlement_summary', customer, livemode: false,
        entitlements: show.list(`/v1/customer/${customer}/entitlements`, keys.map(show.entitlement)),
      }),
    );
  }

  /** Whether a customer is entitled to a feature now: the truth, worked out without the door. */
  entitles(customer, feature = 'publish') {
    const { state } = this;
    const counting = [...state.subscriptions.values()].filter((s) => s.customer === customer && COUNT.includes(s.status));
    const names = (metadata) => (metadata.features ?? '').split(',').map((name) => name.trim());
    const named = counting.flatMap((s) => s.items.flatMap((i) => {
      const price = state.prices.get(i.price);
      return [...names(price.metadata), ...names(state.products.get(price.product).metadata)];
    }));
    return named.includes(feature) || (counting.length > 0 && (state.entitlements.get(customer) ?? []).includes(feature));
  }
}
