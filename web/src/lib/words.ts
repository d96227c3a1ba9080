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
  banned: { title: 'You are barred from this room', advice: 'Somebody who runs this door put you out. Only they can let you back in.' },
  identity_not_allowed: { title: 'This token’s name cannot be used here', advice: 'Its subject is reserved or belongs to somebody else. Use another caller.' },
  // Where
  room_required: { title: 'Which room?', advice: 'Type the name of a room.' },
  invalid_room: { title: 'This is not a room name', advice: 'Use 1 to 256 bytes, with no spaces around it and no invisible characters.' },
  invalid_username: { title: 'This is not a display name', advice: 'Use up to 256 bytes, with no spaces around it and no invisible characters.' },
  room_forbidden: { title: 'This room is not open to you', advice: 'The policy lets other callers in. Try another room or another caller.' },
  room_full: { title: 'The room is full', advice: 'Every seat is taken. Try again when somebody has left.', again: true },
  session_over: { title: 'Your time in this room is over', advice: 'The room has a time limit, and you have reached it.' },
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
    ['invalid_json', 'unknown_field', 'unsupported_media_type', 'method_not_allowed', 'not_found', 'body_too_large', 'invalid_url'].map((code) => [
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

/** Words for a code; a code of a newer door is shown with that door's own sentence. */
export function errorWords(code: string, sentence?: string): Words {
  return ERRORS[code] ?? { title: 'The door said no', advice: sentence || 'It gave no further reason.', again: true };
}

const DENIED: Record<string, string> = {
  no_subscription: 'Going on stage takes a plan that includes publishing.',
  subscription_inactive: 'Your plan is paused, past due or has ended. Renew it and the stage opens.',
  feature_not_in_plan: 'Your plan is active, but it does not include publishing. A bigger one does.',
  billing_unavailable: 'We cannot see your plan at the moment, so the stage stays closed for now. Watching is not affected.',
  policy: 'This room’s rules keep the stage for others. That is not about payment.',
};

/** Why publishing is withheld. During a call the reason may not be known. */
export function deniedWords(reason: string | undefined): string {
  return DENIED[reason ?? ''] ?? 'The door withholds publishing at the moment.';
}

/** The banner's headline. A policy is not a plan, and must not send anybody shopping. */
export function deniedTitle(reason: string | undefined): string {
  return reason === 'policy' ? 'This room lets you watch' : 'Your plan lets you watch';
}
