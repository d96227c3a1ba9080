// Every code the door or LiveKit may answer with, in words for the person at
// the screen: what happened, and what to do about it.

export interface Words {
  title: string;
  advice: string;
  /** Trying again without changing anything may work. */
  again?: boolean;
}

const ERRORS: Record<string, Words> = {
  // Who
  missing_token: { title: 'No token was sent', advice: 'Choose a caller, or paste a token of your own.' },
  invalid_token: { title: 'The door does not know this token', advice: 'Paste the whole token, without “Bearer ”, and check that this door trusts who issued it.' },
  expired_token: { title: 'This token has expired', advice: 'Sign in to your own app again and paste the fresh token.' },
  auth_failed: { title: 'This token cannot be sent', advice: 'Paste the bare token: no “Bearer ”, no quotes, no line breaks.' },
  banned: { title: 'You are kept out of this room', advice: 'Somebody who moderates the room, or runs this door, put you out.' },
  identity_not_allowed: { title: 'This token’s name cannot be used here', advice: 'Its subject is reserved or belongs to somebody else. Use another caller.' },
  // Where
  room_required: { title: 'Which room?', advice: 'Type the name of a room.' },
  invalid_room: { title: 'This is not a room name', advice: 'Use 1 to 256 bytes, with no spaces around it and no invisible characters.' },
  invalid_username: { title: 'This is not a display name', advice: 'Use up to 256 bytes, with no spaces around it and no invisible characters.' },
  room_forbidden: { title: 'This room is not open to you', advice: 'The policy lets other callers in. Try another room or another caller.' },
  room_full: { title: 'The room is full', advice: 'Every seat is taken. Try again when somebody has left.', again: true },
  session_over: { title: 'Your time in this room is over', advice: 'The room has a time limit, and you have used all of it. It starts anew when everybody has left.' },
  already_in_room: { title: 'You are already in this room', advice: 'Leave in the other window first; this room takes each caller once.', again: true },
  field_not_allowed: { title: 'The door does not take this', advice: 'Something was asked for that callers may not set here, such as a display name. Leave it empty.' },
  // How
  rate_limited: { title: 'Too many tries', advice: 'The door asks for a short break.', again: true },
  https_required: { title: 'The door wants HTTPS', advice: 'Open this page with https://. Behind a proxy, name the proxy in TRUSTED_PROXIES.' },
  origin_not_allowed: { title: 'This page may not ask this door', advice: 'Add this page’s origin to ALLOWED_ORIGINS.' },
  unavailable: { title: 'The door is not ready', advice: 'It is starting, stopping or very busy.', again: true },
  internal: { title: 'The door stumbled', advice: 'This is not your doing. Its log has the reason, under the request id below.', again: true },
  network_error: { title: 'The door cannot be reached', advice: 'Check your connection, and that stagedoor is still running.', again: true },
  timeout: { title: 'The door did not answer in time', advice: 'The network or the door is slow.', again: true },
  invalid_response: { title: 'That was not the door', advice: 'Something answered, but not with a token. A proxy in between may have taken the request.', again: true },
  http_error: { title: 'Something in between refused', advice: 'The answer did not come from the door, but from a proxy in front of it.', again: true },
  // A page that is older than its door
  ...Object.fromEntries(
    ['invalid_json', 'invalid_request', 'unknown_field', 'unsupported_media_type', 'method_not_allowed', 'not_found', 'body_too_large', 'invalid_url'].map((code) => [
      code,
      { title: 'The page and the door do not fit', advice: 'Reload the page. If that does not help, they are of different versions.' },
    ]),
  ),
  // LiveKit: on the way in
  livekit_not_allowed: { title: 'LiveKit did not take the token', advice: 'The door’s LIVEKIT_API_KEY and LIVEKIT_API_SECRET may not be those of the server at LIVEKIT_URL, or the clocks differ.', again: true },
  livekit_unreachable: { title: 'The LiveKit server cannot be reached', advice: 'The door let you in, but the call’s server did not answer. Check LIVEKIT_URL, and that the server is running.', again: true },
  livekit_timeout: { title: 'The LiveKit server did not answer in time', advice: 'A firewall may be in the way of the call’s media: UDP, or TCP as a fallback.', again: true },
  livekit_failed: { title: 'The call could not be set up', advice: 'LiveKit gave up on the way in.', again: true },
  // LiveKit: on the way out
  duplicate_identity: { title: 'You joined from another window', advice: 'Each caller is in a room once, so this window was let go.' },
  participant_removed: { title: 'You were put out of the room', advice: 'Somebody who runs this room ended your visit.' },
  room_deleted: { title: 'The room was closed', advice: 'Whoever runs it ended it for everybody.' },
  server_shutdown: { title: 'The LiveKit server is shutting down', advice: 'Join again in a moment, when it is back.', again: true },
  connection_lost: { title: 'The connection was lost', advice: 'Reconnecting did not work. Check your network and join again.', again: true },
};

// What a code means to somebody who came by invitation.
const GUEST: Record<string, Words> = {
  invalid_token: { title: 'This invitation is not valid', advice: 'It was revoked, or the link is not complete. Ask whoever sent it for a new one.' },
  expired_token: { title: 'This invitation has expired', advice: 'Ask whoever sent it for a new one.' },
  room_forbidden: { title: 'This invitation lets nobody else in', advice: 'It is used up, or whoever sent it cannot bring guests at the moment. Ask them for a new one.' },
  banned: { title: 'You are kept out of this room', advice: 'A moderator put you, or another guest of this invitation, out.' },
  field_not_allowed: { title: 'The invitation has a name for you', advice: 'Leave your name empty: whoever invited you chose one.' },
};

// What the end of a call means, when the door was asked why somebody was put out.
const ENDED: Record<string, Words> = {
  session_over: { title: 'Your time is up', advice: 'This room has a time limit, and you have used all of it. Thank you for coming.' },
  banned: { title: 'You were removed from the room', advice: 'A moderator ended your visit, and keeps you out for a while.' },
  room_forbidden: { title: 'The room is no longer open to you', advice: 'Its rules let you in before, and do not any more.' },
  room_full: { title: 'The room is full', advice: 'More people came in at once than there are seats, and the newest had to go.', again: true },
  participant_removed: { title: 'You were put out of the room', advice: 'Somebody who runs it ended your visit. The door would let you in again.', again: true },
};
const GUEST_ENDED: Record<string, Words> = {
  invalid_token: { title: 'Your invitation was taken back', advice: 'Whoever invited you revoked it, and so your visit is over.' },
  expired_token: { title: 'Your invitation has expired', advice: 'Ask whoever invited you for a new one.' },
  room_forbidden: { title: 'Your invitation no longer opens this room', advice: 'Whoever invited you cannot bring guests there at the moment.' },
};

/** The situation a code is met in. */
export interface Circumstances {
  /** Somebody came by invitation. */
  guest?: boolean;
  /** A call is over, as opposed to one that did not begin. */
  ended?: boolean;
}

/** Words for a code; a code of a newer door is shown with that door's own sentence. */
export function errorWords(code: string, sentence?: string, { guest, ended }: Circumstances = {}): Words {
  const own = (guest && ended && GUEST_ENDED[code]) || (ended && ENDED[code]) || (guest && GUEST[code]);
  if (own) return own;
  return ERRORS[code] ?? { title: 'The door said no', advice: sentence || 'It gave no further reason.', again: true };
}

const DENIED: Record<string, string> = {
  no_subscription: 'Going on stage takes a plan that includes publishing.',
  subscription_inactive: 'Your plan is paused, past due or has ended. Renew it and the stage opens.',
  feature_not_in_plan: 'Your plan is active, but it does not include publishing. A bigger one does.',
  billing_unavailable: 'We cannot see your plan at the moment, so the stage stays closed for now. Watching is not affected.',
  policy: 'This room’s rules keep the stage for others. That is not about payment.',
};

/** Why publishing is withheld. During a call the reason may not be known. A guest's follows from whoever invited them. */
export function deniedWords(reason: string | undefined, guest = false): string {
  if (guest && reason === 'policy') return 'You see and hear everybody. Going on stage is not part of this invitation.';
  if (guest) return 'Whoever invited you may not publish at the moment, so the stage is closed to their guests too.';
  return DENIED[reason ?? ''] ?? 'The door withholds publishing at the moment.';
}

/** The banner's headline. A policy is not a plan, and must not send anybody shopping. */
export function deniedTitle(reason: string | undefined, guest = false): string {
  if (guest) return 'You watch as a guest';
  return reason === 'policy' ? 'This room lets you watch' : 'Your plan lets you watch';
}

// What the door answers to a moderator or somebody who invites, about another person.
const HOSTING: Record<string, string> = {
  room_forbidden: 'The room’s rules no longer let you do this.',
  banned: 'You are kept out of this room yourself.',
  identity_not_allowed: 'This is not somebody this door let in, so it cannot put them out.',
  not_found: 'They are not here any more.',
  unavailable: 'LiveKit does not answer at the moment. Try again.',
  field_not_allowed: 'Your guests can go on stage only where you may yourself.',
  expired_token: 'Your sign-in has expired. Join again with a fresh token.',
  network_error: 'The door cannot be reached. Check your connection.',
};

/** Why something that concerns others was refused; the door's own sentence where there is no better one. */
export function hostingWords(code: string, sentence: string): string {
  return HOSTING[code] ?? sentence;
}
