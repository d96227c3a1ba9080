import { takeInvitation } from 'livekit-join';
import { readQuery } from './query';

// For a reload of this tab. Not localStorage: an invitation is for the window it was opened in.
const KEY = 'stagedoor-invitation';

/**
 * The invitation this page was opened with, or null. It is taken out of the
 * address bar at once, and kept in this tab alone.
 */
export function arrivedInvitation(): string | null {
  const fresh = takeInvitation();
  try {
    if (fresh) sessionStorage.setItem(KEY, fresh);
    // A link that names a caller or a room is for the lobby.
    const { caller, room } = readQuery();
    return fresh ?? (caller || room ? null : sessionStorage.getItem(KEY));
  } catch {
    return fresh; // Storage is forbidden here: a reload forgets.
  }
}

export function forgetInvitation(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept either.
  }
}
