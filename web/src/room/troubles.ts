import { ConnectionError, ConnectionErrorReason, DisconnectReason } from 'livekit-client';
import { problem, type Problem } from '../lib/problem';

/** What a failed connection to LiveKit means. */
export function connectProblem(error: unknown): Problem {
  return problem(connectCode(error));
}

function connectCode(error: unknown): string {
  if (!(error instanceof ConnectionError)) return 'livekit_failed';
  switch (error.reason) {
    case ConnectionErrorReason.NotAllowed:
      return 'livekit_not_allowed';
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.WebSocket:
    case ConnectionErrorReason.ServiceNotFound:
      return 'livekit_unreachable';
    case ConnectionErrorReason.Timeout:
      return 'livekit_timeout';
    case ConnectionErrorReason.LeaveRequest:
      return disconnectCode(error.context as DisconnectReason | undefined) ?? 'livekit_failed';
    default:
      return 'livekit_failed';
  }
}

/** What the end of a call means; null where the visitor left by themselves. */
export function disconnectProblem(reason: DisconnectReason | undefined): Problem | null {
  const code = disconnectCode(reason);
  return code ? problem(code) : null;
}

function disconnectCode(reason: DisconnectReason | undefined): string | null {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return null;
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'duplicate_identity';
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'participant_removed';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'room_deleted';
    case DisconnectReason.SERVER_SHUTDOWN:
      return 'server_shutdown';
    case DisconnectReason.JOIN_FAILURE:
      return 'livekit_failed';
    default:
      return 'connection_lost';
  }
}
