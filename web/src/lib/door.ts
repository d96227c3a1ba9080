import { JoinError, livekitJoin, type JoinDetails, type JoinRequest } from 'livekit-join';

/** What a moderator may do to another participant. */
export type Action = 'mute' | 'remove';

/** How the door answers a moderator. */
export interface Moderated {
  room: string;
  identity: string;
  action: Action;
  /** How many audio tracks were muted; for `mute`. */
  muted?: number;
  /** Until when the participant is kept out, RFC 3339; for `remove`. */
  until?: string;
}

/** One invitation as its maker sees it. The secret is not among it. */
export interface GuestPass {
  id: string;
  room: string;
  /** The guests' display name, where the maker fixed one. */
  name?: string;
  publish: boolean;
  uses: number;
  used: number;
  /** RFC 3339. */
  expires: string;
  revoked?: boolean;
}

/** A new invitation, with the link that is shown this once. */
export interface NewPass extends GuestPass {
  url: string;
}

export interface PassWish {
  room: string;
  name?: string;
  publish: boolean;
  uses: number;
  /** Whole seconds from now. */
  expires: number;
}

/** The door, as one caller or guest talks to it. Everything rejects with JoinError. */
export interface Door {
  join(request: JoinRequest, call?: { signal?: AbortSignal }): Promise<JoinDetails>;
  moderate(room: string, identity: string, action: Action): Promise<Moderated>;
  invite(wish: PassWish): Promise<NewPass>;
  /** The caller's own invitations, newest first. */
  passes(): Promise<GuestPass[]>;
  revoke(id: string): Promise<void>;
}

/**
 * Talks to the door in somebody's name. The token stays in the closure: it is
 * never in the address, in the page or in an error.
 *
 * @param token a caller's own, or an invitation's secret
 * @param guest whether it is an invitation's
 */
export function doorFor(token: string, guest = false): Door {
  const send = <Answer>(method: string, path: string, body?: object) => ask<Answer>(token, method, path, body);
  return {
    join: livekitJoin('/api/join', { getAuthToken: () => token || null, guest }),
    moderate: (room, identity, action) => send('POST', '/api/moderate', { room, identity, action }),
    invite: (wish) => send('POST', '/api/invites', wish),
    passes: async () => (await send<{ invites: GuestPass[] }>('GET', '/api/invites')).invites,
    revoke: (id) => send('DELETE', `/api/invites/${encodeURIComponent(id)}`),
  };
}

async function ask<Answer>(token: string, method: string, path: string, body?: object): Promise<Answer> {
  const headers = { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) };
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: 'no-store', redirect: 'error' }).catch(() => {
    throw new JoinError('The door could not be reached.', { code: 'network_error' });
  });
  const answer = (await response.json().catch(() => ({}))) as Answer & { error?: string; code?: string; requestId?: string };
  if (response.ok) return answer;
  const { error = `The door answered ${response.status}.`, code = 'http_error', requestId } = answer;
  throw new JoinError(error, { status: response.status, code, requestId });
}
