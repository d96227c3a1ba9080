// The double's API: the addresses that Stripe documents, with their parameters,
// pages and refusals, and no others.
import { createServer } from 'node:http';
import * as show from './stripe-objects.js';

const MOST = 100;
// What may be asked for at each address. Stripe refuses a parameter that it does not know.
const COMMON = ['limit', 'starting_after', 'ending_before', 'expand'];
const WORDS = { '/v1/events': ['type', 'types', 'created', 'delivery_success'], '/v1/subscriptions': ['customer', 'status', 'price', 'created'], '/v1/checkout/sessions': ['status', 'customer', 'subscription', 'created'], '/v1/subscription_items': ['subscription'], '/v1/entitlements/active_entitlements': ['customer'], '/v1/entitlements/features': ['lookup_key', 'archived'] };

class Refusal extends Error {
  constructor(status, type, code, message, param) {
    super(message);
    this.status = status;
    this.body = show.failure(type, code, message, param);
  }
}

const missing = (what, id, status = 404, param = 'id') => new Refusal(status, 'invalid_request_error', 'resource_missing', `No such ${what}: '${id}'`, param);
const wrong = (code, message, param) => new Refusal(400, 'invalid_request_error', code, message, param);

/** Serves the double's state on loopback. */
export async function serveStripe(stripe) {
  const hanging = new Set();
  const server = createServer((request, response) => {
    const began = performance.now();
    const { pathname, search } = new URL(request.url, 'http://stripe');
    const call = { at: Date.now(), method: request.method, path: pathname, query: decodeURIComponent(search.slice(1)), status: 0, ms: 0 };
    stripe.calls.push(call);
    const send = (status, body, type = 'application/json') => {
      response.writeHead(status, { 'Content-Type': type, 'Request-Id': `req_${stripe.calls.length}`, 'Stripe-Version': show.API_VERSION });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
      Object.assign(call, { status, ms: performance.now() - began });
    };
    const reply = () => {
      try {
        send(200, answer(stripe, request, pathname, parameters(search)));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        send(error.status, error.body);
      }
    };
    const { fault } = stripe;
    if (fault && fault.only.test(`${call.method} ${call.path}?${call.query}`)) misbehave(fault, { send, reply, response, hanging });
    else reply();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      for (const response of hanging) response.destroy();
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

/** One request's share of a fault. */
function misbehave({ kind, ms }, { send, reply, response, hanging }) {
  switch (kind) {
    case 'unauthorized': return send(401, show.failure('invalid_request_error', 'api_key_expired', 'Expired API Key provided'));
    case 'forbidden': return send(403, show.failure('invalid_request_error', 'more_permissions_required', 'The provided key does not have the required permissions'));
    case 'rate': return send(429, show.failure('invalid_request_error', 'rate_limit', 'Request rate limit exceeded'));
    case 'error': return send(500, show.failure('api_error', undefined, 'An unknown error occurred'));
    case 'html': return send(503, '<html><body><h1>503 Service Unavailable</h1></body></html>', 'text/html');
    case 'empty': return send(200, '{}');
    case 'page': return send(200, '<!doctype html><title>Sign in to the hotel network</title>', 'text/html');
    case 'refuse': return response.destroy();
    case 'slow': return void setTimeout(reply, ms);
    case 'hang': return void hanging.add(response);
    default: throw new Error(`no such fault: ${kind}`);
  }
}

/** Reads Stripe's way of writing lists and ranges: expand[0]=a, types[]=b, created[gte]=1. */
function parameters(search) {
  const read = { expand: [], types: [], created: {} };
  for (const [name, value] of new URLSearchParams(search)) {
    const [, base, inner] = name.match(/^([a-z_]+)(?:\[(\w*)\])?$/) ?? [null, name];
    if (base === 'created') read.created[inner] = Number(value);
    else if (inner === undefined) read[base] = value;
    else (read[base] ??= []).push(value);
  }
  return read;
}

function answer(stripe, request, path, wanted) {
  if (request.headers.authorization !== `Bearer ${stripe.key}`) {
    throw new Refusal(401, 'invalid_request_error', 'api_key_invalid', 'Invalid API Key provided');
  }
  if (request.method !== 'GET') throw wrong('method', 'The double only tells.');
  if (wanted.expand.some((each) => each.split('.').length > 4)) throw wrong('property_too_deep', 'You cannot expand more than 4 levels of a property', 'expand');
  const state = stripe.shown;
  const listed = LISTS[path];
  if (listed) {
    const unknown = Object.keys(wanted).find((name) => ![...COMMON, ...WORDS[path], 'types', 'created'].includes(name));
    if (unknown) throw wrong('parameter_unknown', `Received unknown parameter: ${unknown}`, unknown);
    return page(path, listed(state, wanted), wanted);
  }
  const [, kind, id] = path.match(/^\/v1\/(customers|subscriptions|products|prices|checkout\/sessions|events)\/([^/]+)$/) ?? [];
  const [records, what, render] = ONE[kind] ?? [];
  if (!records) throw new Refusal(404, 'invalid_request_error', 'url_invalid', `Unrecognized request URL (GET: ${path})`);
  if (!records(state).has(id)) throw missing(what, id);
  return render(state, id, wanted.expand);
}

const ONE = {
  customers: [(s) => s.customers, 'customer', show.customer],
  subscriptions: [(s) => s.subscriptions, 'subscription', show.subscription],
  products: [(s) => s.products, 'product', show.product],
  prices: [(s) => s.prices, 'price', show.price],
  'checkout/sessions': [(s) => s.sessions, 'checkout.session', show.session],
};

const newest = (map) => [...map.values()].reverse();
const known = (state, customer) => {
  if (customer && !state.customers.has(customer)) throw missing('customer', customer, 400, 'customer');
};

// Each list: [id, object] pairs, newest first.
const LISTS = {
  '/v1/subscriptions'(state, { customer, status, expand }) {
    known(state, customer);
    const deep = expand.map((each) => each.replace(/^data\./, ''));
    return newest(state.subscriptions)
      .filter((s) => (!customer || s.customer === customer) && (status === 'all' || (status ? s.status === status : s.status !== 'canceled')))
      .map((s) => [s.id, () => show.subscription(state, s.id, deep)]);
  },
  '/v1/subscription_items'(state, { subscription }) {
    const s = state.subscriptions.get(subscription);
    if (!s) throw missing('subscription', subscription, 400, 'subscription');
    return s.items.map((i) => [i.id, () => show.item(state, s, i)]);
  },
  '/v1/checkout/sessions'(state, { status, customer }) {
    known(state, customer);
    return newest(state.sessions)
      .filter((s) => (!status || s.status === status) && (!customer || s.customer === customer))
      .map((s) => [s.id, () => show.session(state, s.id)]);
  },
  '/v1/entitlements/active_entitlements'(state, { customer }) {
    if (!customer) throw wrong('parameter_missing', 'Missing required param: customer.', 'customer');
    known(state, customer);
    return (state.entitlements.get(customer) ?? []).map((key) => [`ent_${key}`, () => show.entitlement(key)]);
  },
  '/v1/entitlements/features': (state) => state.features.map((key) => [`feat_${key}`, () => show.feature(key)]),
  '/v1/events'(state, { types, created }) {
    if (types.length > 20) throw wrong('array_too_large', 'types may name 20 at most', 'types');
    return [...state.events].reverse()
      .filter((e) => (types.length === 0 || types.includes(e.type)) && Math.floor(e.created / 1000) >= (created.gte ?? 0))
      .map((e) => [e.id, () => show.snapshotEvent(e)]);
  },
};

/** The part of a list that was asked for. */
function page(path, rows, { limit = '10', starting_after: after, ending_before: before }) {
  const most = Number(limit);
  if (!(most >= 1 && most <= MOST)) throw wrong('parameter_invalid_integer', 'limit must be between 1 and 100', 'limit');
  const cursor = after ?? before;
  const place = rows.findIndex(([id]) => id === cursor);
  if (cursor && place < 0) throw missing('object', cursor, 400, after ? 'starting_after' : 'ending_before');
  const rest = after ? rows.slice(place + 1) : before ? rows.slice(Math.max(0, place - most), place) : rows;
  return show.list(path, rest.slice(0, most).map(([, render]) => render()), before ? place > most : rest.length > most);
}
