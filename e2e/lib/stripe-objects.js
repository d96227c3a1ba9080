// Stripe's objects as its API shows them, version 2026-06-24.dahlia: written
// from docs.stripe.com/api, and from nothing of the door's.

export const API_VERSION = '2026-06-24.dahlia';
const seconds = (at) => (at ? Math.floor(at / 1000) : null);

/** A list object, as every list of Stripe's comes. */
export function list(url, data, more = false) {
  return { object: 'list', url, has_more: more, data };
}

export function customer(state, id) {
  const c = state.customers.get(id);
  if (c.deleted) return { id, object: 'customer', deleted: true };
  return {
    id, object: 'customer', created: seconds(c.created), livemode: false, email: c.email, name: null, metadata: c.metadata,
    balance: 0, currency: null, delinquent: false, description: null, default_source: null, discount: null, phone: null,
    address: null, shipping: null, invoice_prefix: id.slice(-8).toUpperCase(), preferred_locales: [], tax_exempt: 'none', test_clock: null,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
  };
}

export function product(state, id) {
  const p = state.products.get(id);
  return {
    id, object: 'product', created: seconds(p.created), updated: seconds(p.created), livemode: false, active: true, name: p.name,
    metadata: p.metadata, images: [], marketing_features: [], default_price: null, description: null, package_dimensions: null,
    shippable: null, statement_descriptor: null, tax_code: null, unit_label: null, url: null,
  };
}

export function price(state, id) {
  const p = state.prices.get(id);
  return {
    id, object: 'price', created: seconds(p.created), livemode: false, active: true, product: p.product, metadata: p.metadata,
    currency: 'eur', type: 'recurring', unit_amount: 900, unit_amount_decimal: '900', billing_scheme: 'per_unit', nickname: null,
    recurring: { interval: 'month', interval_count: 1, meter: null, trial_period_days: null, usage_type: 'licensed' },
    custom_unit_amount: null, lookup_key: null, tax_behavior: 'unspecified', tiers_mode: null, transform_quantity: null,
  };
}

export function item(state, sub, i) {
  return {
    id: i.id, object: 'subscription_item', created: seconds(sub.created), subscription: sub.id, quantity: 1, metadata: {},
    current_period_start: seconds(sub.periodStart), current_period_end: seconds(sub.periodEnd),
    price: price(state, i.price), billing_thresholds: null, discounts: [], tax_rates: [],
  };
}

// How many items a subscription shows before they have to be listed.
const SHOWN = 10;

export function subscription(state, id, expand = []) {
  const s = state.subscriptions.get(id);
  return {
    id, object: 'subscription', created: seconds(s.created), start_date: seconds(s.created), livemode: false, metadata: {},
    customer: expand.includes('customer') ? customer(state, s.customer) : s.customer, customer_account: null, status: s.status,
    cancel_at: seconds(s.cancelAt), cancel_at_period_end: s.cancelAtPeriodEnd ?? false, canceled_at: seconds(s.endedAt), ended_at: seconds(s.endedAt),
    cancellation_details: { comment: null, feedback: null, reason: s.endedAt ? 'cancellation_requested' : null },
    pause_collection: s.paused ? { behavior: 'void', resumes_at: null } : null,
    items: list(`/v1/subscription_items?subscription=${id}`, s.items.slice(0, SHOWN).map((i) => item(state, s, i)), s.items.length > SHOWN),
    billing_cycle_anchor: seconds(s.created), collection_method: 'charge_automatically', currency: 'eur', latest_invoice: `in_${id.slice(4)}`,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null }, billing_mode: { type: 'classic' },
    application: null, days_until_due: null, default_payment_method: null, default_source: null, default_tax_rates: [], description: null,
    discounts: [], on_behalf_of: null, pending_setup_intent: null, pending_update: null, schedule: null, test_clock: null,
    trial_end: null, trial_start: null, transfer_data: null,
  };
}

export function session(state, id) {
  const s = state.sessions.get(id);
  return {
    id, object: 'checkout.session', created: seconds(s.created), livemode: false, mode: 'subscription', status: s.status, payment_status: 'paid',
    client_reference_id: s.reference, customer: s.customer, subscription: s.subscription, customer_email: null, metadata: {},
    amount_total: 900, currency: 'eur', payment_link: 'plink_1', success_url: null, cancel_url: null, url: null,
  };
}

export function entitlement(key) {
  return { id: `ent_${key}`, object: 'entitlements.active_entitlement', livemode: false, lookup_key: key, feature: `feat_${key}` };
}

export function feature(key) {
  return { id: `feat_${key}`, object: 'entitlements.feature', livemode: false, active: true, lookup_key: key, name: key, metadata: {} };
}

/** An event with its object in it, as webhooks get it by default and as the list of events has it. */
export function snapshotEvent(event, version = API_VERSION) {
  return {
    id: event.id, object: 'event', api_version: version, created: seconds(event.created), livemode: false, pending_webhooks: 1, type: event.type,
    data: { object: event.object }, request: { id: null, idempotency_key: null },
  };
}

/** The thin form: no more than which object it is about. Its id is another. */
export function thinEvent(event) {
  const kind = event.object.object;
  return {
    id: event.id.replace('evt_', 'evt_thin_'), object: 'v2.core.event', type: `v1.${event.type}`, created: new Date(event.created).toISOString(), livemode: false,
    context: null, snapshot_event: event.id, changes: null, reason: null,
    related_object: { id: event.object.id, type: kind, url: `/v1/${kind === 'checkout.session' ? 'checkout/sessions' : `${kind}s`}/${event.object.id}` },
  };
}

/** What Stripe answers with a status other than 200. */
export function failure(type, code, message, param) {
  return { error: { type, code, message, param, doc_url: `https://stripe.com/docs/error-codes/${code}`, request_log_url: null } };
}
