import { useCallback, useRef, useState } from 'react';
import type { JoinDetails } from 'livekit-join';
import { doorFor, type Door } from './lib/door';
import { stopAll, type Brought } from './lib/media';
import { joinProblem, problem, type Problem } from './lib/problem';
import type { Fields } from './lobby/fields';

export const loadRoom = () => import('./room/RoomScreen');

/** One stay in a room. */
export interface Visit {
  details: JoinDetails;
  brought: Brought;
  fields: Fields;
  /** Whether the visitor came by invitation. */
  guest: boolean;
  door: Door;
  /** Asks the door once more, to learn why rights changed. */
  ask(): Promise<JoinDetails>;
}

/** A visit that somebody else ended: the room, and why, as soon as the door has said so. */
export interface Ended {
  room: string;
  why: Problem | null;
}

export interface Wish {
  fields: Fields;
  token: string;
  guest: boolean;
  /** Takes over the tracks that are open in the lobby. */
  take(): Brought;
}

export interface Visits {
  visit: Visit | null;
  ended: Ended | null;
  joining: boolean;
  trouble: Problem | null;
  /** For the live region. */
  status: string;
  join(wish: Wish): Promise<void>;
  cancel(): void;
  leave(why: Problem | null): void;
  /** Forgets what went wrong, and that a visit ended. */
  clear(): void;
  say(words: string): void;
}

/** Joining, being in a room, and how that ends. */
export function useVisits(): Visits {
  const [visit, setVisit] = useState<Visit | null>(null);
  const [ended, setEnded] = useState<Ended | null>(null);
  const [joining, setJoining] = useState(false);
  const [trouble, setTrouble] = useState<Problem | null>(null);
  const [status, say] = useState('');
  const abort = useRef<AbortController | null>(null);
  const current = useRef<Visit | null>(null);
  current.current = visit;

  const clear = useCallback(() => {
    setTrouble(null);
    setEnded(null);
  }, []);

  async function join({ fields, token, guest, take }: Wish) {
    if (joining) return;
    const controller = new AbortController();
    abort.current = controller;
    setJoining(true);
    clear();
    say(fields.room ? `Asking the door about ${fields.room}…` : 'Asking the door…');
    const door = doorFor(token, guest);
    const request = { roomName: fields.room, participantName: fields.name.trim() };
    try {
      // Side by side: what the door says, and the page that will show it.
      const [details] = await Promise.all([door.join(request, { signal: controller.signal }), loadRoom()]);
      const brought = take();
      if (details.permissions && !details.permissions.canPublish) stopAll(brought);
      setVisit({ details, brought, fields, guest, door, ask: () => door.join(request) });
      say('');
    } catch (error) {
      if (!controller.signal.aborted) setTrouble(joinProblem(error, { guest }));
      say(controller.signal.aborted ? 'Joining was cancelled.' : '');
    } finally {
      setJoining(false);
    }
  }

  const leave = useCallback((why: Problem | null) => {
    const left = current.current;
    setVisit(null);
    if (left && why?.code === 'participant_removed') {
      say('');
      const room = left.details.room ?? left.fields.room;
      setEnded({ room, why: null });
      void whyRemoved(left).then((reason) => setEnded((now) => now && { room, why: reason }));
      return;
    }
    setTrouble(why);
    say(why ? '' : 'You left the room.');
  }, []);

  return { visit, ended, joining, trouble, status, join, cancel: () => abort.current?.abort(), leave, clear, say };
}

/** LiveKit says that somebody was put out, but not why: the door's answer to another join does. */
async function whyRemoved({ ask, guest }: Visit): Promise<Problem> {
  const circumstances = { guest, ended: true };
  try {
    await ask();
    return problem('participant_removed', {}, circumstances);
  } catch (error) {
    const reason = joinProblem(error, circumstances);
    // Whatever is wrong with the door now was not what ended the visit.
    return reason.again && reason.code !== 'room_full' ? problem('participant_removed', {}, circumstances) : reason;
  }
}
