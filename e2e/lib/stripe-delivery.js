// How the double's events reach the door: signed, and as unreliably as a test
// asks for. Nothing is sent again but by a test, so that what is lost stays lost.
import { Stripe } from 'stripe';
import { snapshotEvent, thinEvent } from './stripe-objects.js';

// The longest that reordered events are held back, in milliseconds.
const HELD = 300;

const { webhooks } = new Stripe('sk_test_signs_nothing');

/** Signs as Stripe does; `at` is the signature's time, `secret` whose it is. */
export function sign(payload, secret, at = Date.now()) {
  return webhooks.generateTestHeaderString({ payload, secret, timestamp: Math.floor(at / 1000) });
}

export class Delivery {
  /** Where events go; null: nowhere. */
  url = null;
  /** 'snapshot', 'thin' or 'both'. */
  form = 'snapshot';
  /** Says of an event whether it is lost. */
  lost = () => false;
  /** How likely an event is sent twice, from 0 to 1. */
  duplicate = 0;
  /** Whether events overtake each other. */
  reorder = false;
  /** Longest delay, in milliseconds. */
  delay = 0;
  /** Ids of events that were never sent, and of those that were answered 2xx. */
  dropped = new Set();
  acknowledged = new Set();
  /** Every answer other than 2xx, and every broken connection. */
  refused = [];
  #stripe;
  #random;
  #held = [];
  #waiting = new Set();
  #timers = new Set();

  constructor(stripe, random) {
    this.#stripe = stripe;
    this.#random = random;
  }

  stop() {
    this.url = null;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Takes an event on its way, by all that may happen to it. */
  offer(event) {
    if (!this.url) return;
    if (this.lost(event)) {
      this.dropped.add(event.id);
      return;
    }
    const copies = this.#random() < this.duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      for (const form of this.form === 'both' ? ['snapshot', 'thin'] : [this.form]) {
        const wait = this.delay && Math.floor(this.#random() * this.delay);
        if (this.reorder) this.#hold(event, form);
        else this.#later(wait, () => this.post(event, { form }));
      }
    }
  }

  /** Waits until everything on its way has arrived or failed. */
  async settled() {
    while (this.#waiting.size > 0 || this.#timers.size > 0 || this.#held.length > 0) await new Promise((done) => setTimeout(done, 10));
  }

  #later(ms, act) {
    if (ms === 0) return void act();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  #hold(event, form) {
    this.#held.push([event, form]);
    if (this.#held.length > 1) return;
    this.#later(HELD, () => {
      const mixed = this.#held.splice(0).map((each) => [this.#random(), each]).sort(([a], [b]) => a - b);
      for (const [, [one, as]] of mixed) void this.post(one, { form: as });
    });
  }

  /** Posts one event now and gives the status, 0 for no answer. */
  async post(event, { form = 'snapshot', url = this.url } = {}) {
    const payload = JSON.stringify(form === 'thin' ? thinEvent(event) : snapshotEvent(event));
    const sending = this.send(payload, { url });
    this.#waiting.add(sending);
    const status = await sending;
    this.#waiting.delete(sending);
    if (status >= 200 && status < 300) this.acknowledged.add(event.id);
    else this.refused.push({ event: event.id, status });
    return status;
  }

  /** Posts a payload as it is, signed with the double's secret unless `signature` says otherwise. */
  async send(payload, { url = this.url, signature = sign(payload, this.#stripe.secret) } = {}) {
    try {
      const answer = await fetch(url, {
        method: 'POST', body: payload,
        headers: { 'Content-Type': 'application/json; charset=utf-8', 'Stripe-Signature': signature },
        signal: AbortSignal.timeout(10_000),
      });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return 0;
    }
  }
}
