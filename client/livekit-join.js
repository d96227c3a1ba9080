// livekit-join: asks a Stagedoor for the details of one LiveKit room.
// No dependencies; runs in browsers and in Node 20 or newer.
// Licence: Apache-2.0.

// A wait longer than this belongs to the person at the screen, not to a spinner.
const LONGEST_WAIT_S = 5;
const FIRST_BACKOFF_MS = 300;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // setTimeout fires at once beyond this

const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/; // RFC 6750 §2.1, b64token: what may follow "Bearer "
const CODE_WITHOUT_BODY = { 429: 'rate_limited', 502: 'unavailable', 503: 'unavailable', 504: 'unavailable' };

// Every option that LiveKit's TokenSource may hand over, and where the standard request carries it.
const STANDARD_FIELDS = {
  roomName: 'room_name',
  participantName: 'participant_name',
  participantIdentity: 'participant_identity',
  participantMetadata: 'participant_metadata',
  participantAttributes: 'participant_attributes',
};
const AGENT_FIELDS = { agentName: 'agent_name', agentMetadata: 'metadata', deployment: 'deployment' };
const JOIN_FIELDS = { roomName: 'room', participantName: 'username' };

// What the door takes for `device` and `guest`, and where a tab keeps the latter.
const DEVICE = /^[A-Za-z0-9_-]{1,32}$/;
const GUEST = /^[A-Za-z0-9_-]{16,64}$/;
const GUEST_KEY = 'stagedoor-guest';

/**
 * Why no token was given.
 *
 * Codes made here, all with status 0 unless said: `network_error` (nothing readable came back: offline, refused, blocked
 * by CORS, a redirect), `timeout`, `auth_failed` (getAuthToken threw, its error is the `cause`, or gave something that
 * no Authorization header can carry), `field_not_allowed` (an option this protocol cannot carry), `invalid_url`,
 * `invalid_response` (a 2xx without a token, with its status). An answer without a code of its own has `rate_limited`
 * (429), `unavailable` (502, 503, 504) or `http_error`. All others are the server's, such as `expired_token`.
 *
 * No message holds the caller's credential or the guest's id.
 */
export class JoinError extends Error {
  /**
   * @param {string} message words for a developer's console
   * @param {{status?: number, code: string, retryAfter?: number, requestId?: string, cause?: unknown}} facts
   *   status: HTTP status, 0 without an answer; retryAfter: seconds
   */
  constructor(message, { status = 0, code, retryAfter, requestId, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'JoinError';
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

/**
 * Makes the function that asks `url` for one room's details.
 *
 * The result works alone and as `TokenSource.custom(livekitJoin('/api/join', …))` of livekit-client, which adds a cache.
 *
 * Takes: `url` (a relative one is resolved against the page's address at each call); `getAuthToken`, asked anew for
 * every attempt, giving the bare token, or null for no Authorization header; `headers` in any form that `fetch` takes;
 * `credentials` (default `same-origin`); `fetch`; `protocol` (`join` or `token`; default `token` where the path ends
 * with /api/token, otherwise `join`); `signal`, ending every call; `timeout`, milliseconds for one attempt, from
 * getAuthToken to the last byte (default 10000; 0 for none); `retries`, further attempts (default 2) after a network
 * error, 502, 503, 504 or 429, and only where no Retry-After asks for more than 5 s; 429 only with a Retry-After.
 *
 * `device`, 1 to 32 of `A-Za-z0-9_-`, for a room that admits a caller's devices one by one. `guest`, where the
 * credential is an invitation: 16 to 64 of the same characters, or true for a random id that this tab keeps in
 * sessionStorage under `stagedoor-guest` (in memory where there is none). The same id is the same guest, who takes one
 * use of the invitation. A guest may leave the room out.
 *
 * Throws: TypeError for an option that can never work.
 * The function it gives rejects with JoinError, or with the signal's reason.
 *
 * Sources: LiveKit docs, "TokenSource endpoint" (the `token` protocol);
 * RFC 6750 §2.1 (Bearer); RFC 9110 §10.2.3 (Retry-After).
 *
 * @param {string | URL} url
 * @param {import('./livekit-join.js').LivekitJoinOptions} [options]
 * @returns {import('./livekit-join.js').FetchDetails}
 */
export function livekitJoin(url, options = {}) {
  const settings = checkSettings(url, options);

  return async function fetchDetails(details = {}, { signal } = {}) {
    const target = resolve(settings.url);
    const protocol = settings.protocol ?? (/\/api\/token\/?$/.test(target.pathname) ? 'token' : 'join');
    const who = { device: settings.device, guest: settings.guest === true ? guestOfTab() : settings.guest };
    const body = JSON.stringify(requestBody(protocol, details ?? {}, who));
    const call = follow([settings.signal, signal]);
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          return await ask(settings, target, { body, guest: who.guest }, call.signal);
        } catch (error) {
          const wait = attempt < settings.retries ? retryDelay(error, attempt) : undefined;
          if (wait === undefined || call.signal.aborted) throw error;
          await pause(wait, call.signal);
        }
      }
    } finally {
      call.release();
    }
  };
}

/**
 * Takes an invitation out of the page's address: `#invite=invite_…`, as POST /api/invites writes it. Gives the secret,
 * for getAuthToken together with `guest`, or null where there is none. The address bar is left without it
 * (history.replaceState), so that it is neither bookmarked nor shown; what else the fragment says stays.
 *
 * Takes: `location`, anything with `hash`, `pathname` and `search`; default: the page's own.
 *
 * @param {{hash: string, pathname: string, search: string}} [location]
 * @returns {string | null}
 */
export function takeInvitation(location = globalThis.location) {
  const parts = (location?.hash ?? '').replace(/^#/, '').split('&');
  const secret = parts.find((part) => part.startsWith('invite=invite_'))?.slice('invite='.length);
  if (!secret || !BEARER_TOKEN.test(secret)) return null;
  const rest = parts.filter((part) => part !== `invite=${secret}`).join('&');
  globalThis.history?.replaceState(globalThis.history.state, '', location.pathname + location.search + (rest && `#${rest}`));
  return secret;
}

let guestInMemory;

// Storage can be missing, full, or forbidden, where even the look at it throws.
function guestOfTab() {
  try {
    guestInMemory = sessionStorage.getItem(GUEST_KEY) ?? guestInMemory;
  } catch {}
  if (!GUEST.test(guestInMemory ?? '')) {
    // Not randomUUID, which is there on https pages alone.
    guestInMemory = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  try {
    sessionStorage.setItem(GUEST_KEY, guestInMemory);
  } catch {}
  return guestInMemory;
}

function checkSettings(url, options) {
  const { getAuthToken, headers, credentials = 'same-origin', fetch, protocol, signal, timeout = 10_000, retries = 2 } = options;
  if (typeof url !== 'string' && !(url instanceof URL)) throw new TypeError('livekitJoin: url must be a string or a URL');
  for (const [name, value] of Object.entries({ getAuthToken, fetch })) {
    if (value !== undefined && typeof value !== 'function') throw new TypeError(`livekitJoin: ${name} must be a function`);
  }
  if (protocol !== undefined && protocol !== 'join' && protocol !== 'token') {
    throw new TypeError("livekitJoin: protocol must be 'join' or 'token'");
  }
  if (typeof timeout !== 'number' || !(timeout >= 0)) throw new TypeError('livekitJoin: timeout must be milliseconds, 0 for none');
  if (!Number.isInteger(retries) || retries < 0) throw new TypeError('livekitJoin: retries must be a whole number, 0 for none');
  try {
    new Headers(headers);
  } catch {
    // The platform's own message would quote the value, which may be a secret.
    throw new TypeError('livekitJoin: headers holds a name or a value that HTTP does not allow');
  }
  return { url, getAuthToken, headers, credentials, fetch, protocol, signal, timeout, retries, ...checkWho(options) };
}

// Falsy values count as absent. The message quotes neither.
function checkWho({ device, guest }) {
  const fits = (value, pattern) => !value || (typeof value === 'string' && pattern.test(value));
  if (!fits(device, DEVICE)) throw new TypeError('livekitJoin: device must be 1 to 32 of A-Z a-z 0-9 _ -');
  if (guest !== true && !fits(guest, GUEST)) throw new TypeError('livekitJoin: guest must be true, or 16 to 64 of A-Z a-z 0-9 _ -');
  return { device: device || undefined, guest: guest || undefined };
}

// Resolved at the call, so that a module that names a relative URL can also be loaded where there is no page.
function resolve(url) {
  let target;
  try {
    target = new URL(url, globalThis.location?.href);
  } catch {
    throw new JoinError('The join URL is not valid, or it is relative and there is no page to resolve it against.', { code: 'invalid_url' });
  }
  if (!/^https?:$/.test(target.protocol)) throw new JoinError('The join URL must be http or https.', { code: 'invalid_url' });
  if (target.username || target.password) throw new JoinError('The join URL must not carry a user name or password.', { code: 'invalid_url' });
  return target;
}

function requestBody(protocol, details, who) {
  const asked = Object.entries(details).filter(([, value]) => !isEmpty(value));
  const body = {};
  const agent = {};
  for (const [option, value] of asked) {
    const plain = protocol === 'join' ? JOIN_FIELDS : STANDARD_FIELDS;
    if (Object.hasOwn(plain, option)) body[plain[option]] = value;
    else if (protocol === 'token' && Object.hasOwn(AGENT_FIELDS, option)) agent[AGENT_FIELDS[option]] = value;
    else throw notCarried(option);
  }
  if (Object.keys(agent).length > 0) body.room_config = { agents: [agent] };
  const known = Object.fromEntries(Object.entries(who).filter(([, value]) => value));
  if (protocol === 'join') Object.assign(body, known);
  else if (!isEmpty(known)) body.participant_attributes = { ...body.participant_attributes, ...known };
  return body;
}

// Dropping what was asked for would show up as a missing agent or a wrong name in the call, far from the cause.
function notCarried(option) {
  const known = Object.hasOwn(STANDARD_FIELDS, option) || Object.hasOwn(AGENT_FIELDS, option);
  const message = known
    ? `/api/join cannot carry ${option}. Use /api/token, LiveKit's standard endpoint, for it.`
    : `There is no option ${option}. The room is roomName, the display name participantName.`;
  return new JoinError(message, { code: 'field_not_allowed' });
}

function isEmpty(value) {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** One attempt: credential, request, answer, under one clock. */
async function ask(settings, target, { body, guest }, callSignal) {
  callSignal.throwIfAborted();
  const attempt = follow([callSignal]);
  let timedOut = false;
  const limited = settings.timeout > 0 && settings.timeout <= LONGEST_TIMER_MS;
  const timer = limited && setTimeout(() => {
    timedOut = true;
    attempt.abort();
  }, settings.timeout);
  try {
    const token = await credential(settings.getAuthToken, attempt.signal);
    const headers = requestHeaders(settings.headers, token);
    const response = await send(settings, target, { headers, body, signal: attempt.signal });
    const text = await read(response, attempt.signal);
    return answer(response, text, redactor([token, guest], headers));
  } catch (error) {
    if (callSignal.aborted) throw callSignal.reason;
    if (timedOut) throw new JoinError(`No answer within ${settings.timeout} ms.`, { code: 'timeout' });
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function credential(getAuthToken, signal) {
  if (!getAuthToken) return null;
  let token;
  try {
    token = await abortable((async () => getAuthToken())(), signal);
  } catch (cause) {
    throw new JoinError("getAuthToken failed; its error is this one's cause.", { code: 'auth_failed', cause });
  }
  if (token === null || token === undefined || token === '') return null;
  if (typeof token !== 'string' || !BEARER_TOKEN.test(token)) {
    // Refused here: fetch would quote the value in its own error.
    throw new JoinError("getAuthToken must give the bare token as a string, without 'Bearer ', white space or quotes.", { code: 'auth_failed' });
  }
  return token;
}

function requestHeaders(own, token) {
  const headers = new Headers(own);
  headers.set('Content-Type', 'application/json');
  if (!headers.has('Accept')) headers.set('Accept', 'application/json');
  if (token !== null) headers.set('Authorization', `Bearer ${token}`);
  return headers;
}

async function send(settings, target, { headers, body, signal }) {
  const fetch = settings.fetch ?? globalThis.fetch;
  const request = {
    method: 'POST',
    headers,
    body,
    signal,
    credentials: settings.credentials,
    cache: 'no-store',
    redirect: 'error', // the credential is for this address and no other
  };
  try {
    return await abortable((async () => fetch(target.href, request))(), signal);
  } catch (cause) {
    throw new JoinError("The door could not be reached: no connection, a redirect, or an answer hidden by CORS (is this page's origin in the door's ALLOWED_ORIGINS?).", { code: 'network_error', cause });
  }
}

async function read(response, signal) {
  try {
    return await abortable(response.text(), signal);
  } catch (cause) {
    if (!response.ok) return ''; // the status already says what happened
    throw new JoinError('The connection broke in the middle of the answer.', { code: 'network_error', cause });
  }
}

function answer(response, text, redact) {
  const body = parseObject(text);
  const requestId = redact(string(body.requestId) ?? response.headers.get('X-Request-Id') ?? undefined);
  const { status } = response;
  if (!response.ok) {
    const code = /^[a-z][a-z0-9_]{0,63}$/.test(string(body.code) ?? '') ? redact(body.code) : (CODE_WITHOUT_BODY[status] ?? 'http_error');
    const message = redact(string(body.error)) ?? `The server answered ${status} without saying why.`;
    throw new JoinError(message, { status, code, retryAfter: retryAfter(response.headers), requestId });
  }
  const participantToken = string(body.participant_token) ?? string(body.participantToken) ?? string(body.token);
  const serverUrl = string(body.server_url) ?? string(body.serverUrl) ?? string(body.url);
  if (!participantToken || !serverUrl) {
    const lack = participantToken ? 'a server address' : 'a token';
    throw new JoinError(`The server answered ${status}, but without ${lack}. Is this the address of a join endpoint?`, { status, code: 'invalid_response', requestId });
  }
  const permissions = body.permissions && typeof body.permissions === 'object' ? body.permissions : undefined;
  const details = {
    serverUrl,
    participantToken,
    room: string(body.room) ?? string(body.room_name) ?? string(body.roomName),
    identity: string(body.identity) ?? string(body.participant_identity) ?? string(body.participantIdentity),
    participantName: string(body.participant_name) ?? string(body.participantName),
    permissions,
    publishDenied: string(body.publishDenied) ?? string(body.publish_denied),
    ttl: typeof body.ttl === 'number' ? body.ttl : undefined,
    moderate: body.moderate === true || undefined,
    invite: body.invite === true || undefined,
    sessionLeft: typeof body.sessionLeft === 'number' ? body.sessionLeft : undefined,
  };
  // LiveKit reads the object as JSON, where a key that is there but undefined is an error.
  for (const key of Object.keys(details)) if (details[key] === undefined) delete details[key];
  return details;
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

function string(value) {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

// A proxy that quotes the request in its error page must not put the credential into somebody's error tracker.
function redactor(known, headers) {
  const sent = (headers.get('Authorization') ?? '').replace(/^\S+\s+/, '');
  const secrets = [...known, sent].filter(Boolean).flatMap((secret) => [secret, encodeURIComponent(secret)]);
  return (text) => secrets.reduce((rest, secret) => rest?.replaceAll(secret, '[redacted]'), text);
}

// RFC 9110 §10.2.3: seconds, or an HTTP date, read against the server's own clock where the answer shows it.
function retryAfter(headers) {
  const value = headers.get('Retry-After')?.trim() ?? '';
  if (/^\d+$/.test(value)) return Number(value);
  const at = /^[A-Za-z]{3,9},? /.test(value) ? Date.parse(value) : NaN;
  if (Number.isNaN(at)) return undefined;
  const now = Date.parse(headers.get('Date') ?? '') || Date.now();
  return Math.max(0, Math.ceil((at - now) / 1000));
}

/** Milliseconds to wait before the next attempt, or undefined where another one is not safe or not worth a wait. */
function retryDelay(error, attempt) {
  if (!(error instanceof JoinError)) return undefined;
  const { status, code, retryAfter: asked } = error;
  const safe = code === 'network_error' || [502, 503, 504].includes(status) || (status === 429 && asked !== undefined);
  if (!safe || (asked ?? 0) > LONGEST_WAIT_S) return undefined;
  // Jitter is added to what the server asked for, never taken from it.
  const backoff = FIRST_BACKOFF_MS * 2 ** attempt * (0.5 + Math.random());
  return asked === undefined ? backoff : asked * 1000 + 20 + FIRST_BACKOFF_MS * Math.random();
}

function pause(milliseconds, signal) {
  let timer;
  const elapsed = new Promise((done) => {
    timer = setTimeout(done, milliseconds);
  });
  return abortable(elapsed, signal).finally(() => clearTimeout(timer));
}

// Settles with the promise or with the abort, whichever is first: neither getAuthToken nor a fetch of the caller's own
// has to know about signals. The listener stays: these signals are the helper's own and end with the call.
function abortable(promise, signal) {
  return new Promise((done, fail) => {
    if (signal.aborted) fail(signal.reason);
    signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    promise.then(done, fail);
  });
}

// AbortSignal.any, which browsers of 2023 lack, with a release: a page's signal must not collect a listener per call.
function follow(signals) {
  const controller = new AbortController();
  const sources = signals.filter(Boolean);
  const undo = sources.map((source) => {
    const onAbort = () => controller.abort(source.reason);
    if (source.aborted) onAbort();
    else source.addEventListener('abort', onAbort, { once: true });
    return () => source.removeEventListener('abort', onAbort);
  });
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    release: () => undo.forEach((step) => step()),
  };
}
