// Types of livekit-join. Licence: Apache-2.0.

/** What the helper needs to know once. All of it is optional. */
export interface LivekitJoinOptions {
  /**
   * Gives the caller's own credential: the bare token, without "Bearer ".
   * Asked anew for every attempt, so it may refresh. `null`, `undefined` and `""`
   * send no Authorization header of its own, for callers known by a cookie.
   * What it throws is the `cause` of a {@link JoinError} `auth_failed`.
   *
   * SPEC: RFC 6750 §2.1.
   */
  getAuthToken?: () => string | null | undefined | Promise<string | null | undefined>;
  /** Further request headers, in any form that `fetch` takes. Content-Type is always JSON. */
  headers?: HeadersInit;
  /** Whether cookies are sent. Default: `same-origin`. */
  credentials?: RequestCredentials;
  /** Replaces the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /**
   * `join`: POST /api/join. `token`: LiveKit's standard token endpoint.
   * Default: `token` where the URL's path ends with /api/token, otherwise `join`.
   *
   * SPEC: LiveKit docs, "TokenSource endpoint".
   */
  protocol?: 'join' | 'token';
  /** Ends every call of this helper. Calls reject with its reason. */
  signal?: AbortSignal;
  /** Milliseconds for one attempt, from getAuthToken to the last byte. Default: 10000. 0: no limit. A timeout is not retried. */
  timeout?: number;
  /**
   * Further attempts after a network error, 502, 503, 504, or 429 with a
   * Retry-After; none where Retry-After asks for more than 5 seconds. Default: 2.
   *
   * SPEC: RFC 9110 §10.2.3.
   */
  retries?: number;
  /**
   * Which of the caller's devices this is, 1 to 32 of `A-Za-z0-9_-`, for rooms
   * whose rule says `devices: many`; elsewhere the door answers `field_not_allowed`.
   * In the `token` protocol it travels as the attribute `device`.
   */
  device?: string | null;
  /**
   * For an invitation as the credential: a random id of this guest, 16 to 64 of
   * `A-Za-z0-9_-`. `true`: one that this tab keeps in sessionStorage, under
   * `stagedoor-guest`, or in memory where that is not available. The same id is
   * the same guest, who takes one use of the invitation. In the `token` protocol
   * it travels as the attribute `guest`.
   */
  guest?: string | boolean | null;
}

/**
 * What one call asks for: the names LiveKit's `TokenSource` uses. Empty values
 * count as absent. An option that the protocol cannot carry is refused with
 * {@link JoinError} `field_not_allowed`, never dropped: the `join` protocol
 * carries `roomName` and `participantName` alone.
 */
export interface JoinRequest {
  /** The room, 1 to 256 bytes. A guest may leave it out: it is the invitation's. */
  roomName?: string;
  /** The display name that others see. */
  participantName?: string;
  /** `token` protocol: only the caller's own identity is granted. */
  participantIdentity?: string;
  /** `token` protocol: only where the door's policy allows it. */
  participantMetadata?: string;
  /** `token` protocol: only where the door's policy allows it. */
  participantAttributes?: Record<string, string>;
  /** `token` protocol: an agent to dispatch, by a name the door's policy allows. */
  agentName?: string;
  /** `token` protocol: handed to that agent. */
  agentMetadata?: string;
  /** `token` protocol: that agent's deployment. */
  deployment?: string;
}

/** What the caller may do in the room. */
export interface Permissions {
  canSubscribe: boolean;
  canPublish: boolean;
  canPublishData: boolean;
  /** All four where publishing is unlimited, none where it is denied. */
  canPublishSources: Array<'camera' | 'microphone' | 'screen_share' | 'screen_share_audio'>;
}

/** Why publishing is withheld. A later door may know further reasons. */
export type PublishDenied =
  | 'no_subscription'
  | 'subscription_inactive'
  | 'feature_not_in_plan'
  | 'billing_unavailable'
  | 'policy'
  | (string & {});

/** Everything `room.connect(serverUrl, participantToken)` needs. A key is missing where the answer had none. */
export interface JoinDetails {
  /** LiveKit's address, ws or wss. */
  serverUrl: string;
  /** The LiveKit access token. */
  participantToken: string;
  /** The room's name as the door normalized it. */
  room?: string;
  /** The participant's identity. `join` protocol. */
  identity?: string;
  /** The display name. `token` protocol. */
  participantName?: string;
  /** `join` protocol. */
  permissions?: Permissions;
  /** Absent where publishing is granted. `join` protocol. */
  publishDenied?: PublishDenied;
  /** How long the token is good for, seconds. `join` protocol. */
  ttl?: number;
  /** May mute and remove others (POST /api/moderate); absent where not. `join` protocol. */
  moderate?: true;
  /** May invite guests (POST /api/invites); absent where not. `join` protocol. */
  invite?: true;
  /** Whole seconds until the room's time limit puts the caller out; absent without a limit. `join` protocol. */
  sessionLeft?: number;
}

/**
 * Asks for one room. Rejects with {@link JoinError}, or with the signal's reason
 * (an AbortError by default) where it was aborted.
 */
export type FetchDetails = (request?: JoinRequest, call?: { signal?: AbortSignal }) => Promise<JoinDetails>;

/** Codes made by the helper itself, without or in spite of a server's answer. */
export type HelperErrorCode =
  | 'network_error'
  | 'timeout'
  | 'auth_failed'
  | 'field_not_allowed'
  | 'invalid_url'
  | 'invalid_response'
  | 'http_error';

/** Codes of POST /api/join and POST /api/token. */
export type ServerErrorCode =
  | 'invalid_json' | 'unknown_field' | 'room_required' | 'invalid_room' | 'invalid_username'
  | 'missing_token' | 'invalid_token' | 'expired_token'
  | 'room_forbidden' | 'room_full' | 'session_over' | 'banned' | 'field_not_allowed'
  | 'identity_not_allowed' | 'https_required' | 'origin_not_allowed'
  | 'already_in_room' | 'not_found' | 'method_not_allowed' | 'body_too_large'
  | 'unsupported_media_type' | 'rate_limited' | 'internal' | 'unavailable';

/** A stable code; a later door may know further ones. */
export type JoinErrorCode = HelperErrorCode | ServerErrorCode | (string & {});

/** Why no token was given. No message holds the caller's credential. */
export class JoinError extends Error {
  constructor(
    message: string,
    facts: { status?: number; code: JoinErrorCode; retryAfter?: number; requestId?: string; cause?: unknown },
  );
  readonly name: 'JoinError';
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** What went wrong, for programs. */
  readonly code: JoinErrorCode;
  /** Seconds until another try makes sense, where the server said so. SPEC: RFC 9110 §10.2.3. */
  readonly retryAfter: number | undefined;
  /** Names the request in the server's logs: the body's, else X-Request-Id. */
  readonly requestId: string | undefined;
}

/**
 * Makes the function that asks `url` for one room's details; usable alone and as
 * `TokenSource.custom(livekitJoin('/api/join', { getAuthToken }))`.
 *
 * @param url a relative one is resolved against the page's address at each call
 * @throws TypeError for an option that can never work
 *
 * SPEC: LiveKit docs, "TokenSource endpoint"; RFC 6750 §2.1; RFC 9110 §10.2.3.
 */
export function livekitJoin(url: string | URL, options?: LivekitJoinOptions): FetchDetails;

/**
 * Takes an invitation, `#invite=invite_…`, out of the page's address and gives
 * its secret: the credential of a guest, for `getAuthToken` beside `guest: true`.
 * Null where the address has none. The rest of the fragment stays.
 *
 * @param location default: the page's own
 */
export function takeInvitation(location?: Pick<Location, 'hash' | 'pathname' | 'search'>): string | null;
