import { useEffect, useRef, useState } from 'react';
import { RoomEvent, type RemoteParticipant, type Room } from 'livekit-client';
import type { JoinDetails } from 'livekit-join';
import { Icon } from '../Icon';
import { useCountdown } from '../lib/useCountdown';

/** The topic of the door's own messages. */
const TOPIC = 'stagedoor';
/** How far a message may be from what the door said at the join. */
const SLACK_MS = 15_000;
/** How often the door is asked about a message at the most. */
const ASK_EVERY_MS = 30_000;

interface Props {
  room: Room;
  /** Seconds until the room's time limit, as the door said at the join; undefined without a limit. */
  sessionLeft: number | undefined;
  ask(): Promise<JoinDetails>;
  onStatus(words: string): void;
}

/**
 * When the room's time limit ends this visit, milliseconds since 1970; undefined until the door says that it is near.
 *
 * The door speaks as the server, which is no participant. But livekit-client names no sender either where it has not
 * heard of them yet, so a message counts if the door's answer to a join, the first or another, says the same.
 */
function useSessionEnd({ room, sessionLeft, ask, onStatus }: Props): number | undefined {
  const [end, setEnd] = useState<number>();
  const [known] = useState(() => (sessionLeft === undefined ? undefined : Date.now() + sessionLeft * 1000));
  const tools = useRef({ ask, onStatus });
  tools.current = { ask, onStatus };
  useEffect(() => {
    let asked = -Infinity;
    const ends = (seconds: number) => {
      setEnd(Date.now() + seconds * 1000);
      tools.current.onStatus(`This room has a time limit. Your visit ends in ${seconds} seconds.`);
    };
    const heard = (payload: Uint8Array, sender?: RemoteParticipant, _kind?: unknown, topic?: string) => {
      const seconds = topic === TOPIC && !sender ? secondsLeft(payload) : undefined;
      if (seconds === undefined) return;
      const now = Date.now();
      if (known !== undefined && Math.abs(now + seconds * 1000 - known) < SLACK_MS) return ends(seconds);
      if (now - asked < ASK_EVERY_MS) return;
      asked = now;
      void tools.current.ask().then(
        (answer) => answer.sessionLeft !== undefined && answer.sessionLeft <= seconds + SLACK_MS / 1000 && ends(answer.sessionLeft),
        () => {}, // Not confirmed, so not shown.
      );
    };
    room.on(RoomEvent.DataReceived, heard);
    return () => void room.off(RoomEvent.DataReceived, heard);
  }, [room, known]);
  return end;
}

function secondsLeft(payload: Uint8Array): number | undefined {
  try {
    const message = JSON.parse(new TextDecoder().decode(payload)) as { event?: unknown; secondsLeft?: unknown } | null;
    const ending = message?.event === 'session_ending' && typeof message.secondsLeft === 'number';
    return ending ? Math.max(0, message.secondsLeft as number) : undefined;
  } catch {
    return undefined; // A newer door says something else.
  }
}

/** The last minute of a visit, counted down. */
export function SessionEnding(props: Props) {
  const end = useSessionEnd(props);
  const left = useCountdown(end);
  if (end === undefined) return null;
  const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  return (
    <p className="ending" data-testid="session-ending" data-last={left <= 10} role="timer">
      <Icon name="clock" />
      <span>
        {left > 0 ? 'Your time in this room ends in ' : 'Your time in this room is over.'}
        {left > 0 && <b>{time}</b>}
      </span>
    </p>
  );
}
