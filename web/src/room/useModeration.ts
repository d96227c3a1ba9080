import { createContext, useCallback, useMemo, useState } from 'react';
import type { Participant } from 'livekit-client';
import { clock } from '../lib/clock';
import type { Door, Moderated } from '../lib/door';
import { refusal } from '../lib/problem';

/** What was done, or why not, to be shown for a while. */
export interface Notice {
  key: number;
  words: string;
  bad: boolean;
}

export interface Moderation {
  mute(who: Participant): void;
  /** Asks first. */
  remove(who: Participant): void;
}

/** Null for whoever may not moderate here. */
export const ModerationContext = createContext<Moderation | null>(null);

export function nameOf(who: Participant): string {
  return who.name || who.identity || 'Somebody';
}

/** Muting and removing others through the door, which decides anew each time whether that is allowed. */
export function useModeration(door: Door, room: string, allowed: boolean, onStatus: (words: string) => void) {
  const [notice, setNotice] = useState<Notice | null>(null);
  const [leaving, setLeaving] = useState<Participant | null>(null);

  const attempt = useCallback(
    async (doing: Promise<Moderated>, done: (answer: Moderated) => string) => {
      try {
        const words = done(await doing);
        setNotice((old) => ({ key: (old?.key ?? 0) + 1, words, bad: false }));
        onStatus(words);
      } catch (error) {
        // An alert, which speaks for itself.
        setNotice((old) => ({ key: (old?.key ?? 0) + 1, words: refusal(error), bad: true }));
      }
    },
    [onStatus],
  );

  const moderation = useMemo<Moderation | null>(() => {
    if (!allowed) return null;
    return {
      mute: (who) =>
        void attempt(door.moderate(room, who.identity, 'mute'), ({ muted }) => (muted ? `${nameOf(who)} was muted.` : `${nameOf(who)} was silent already.`)),
      remove: setLeaving,
    };
  }, [allowed, attempt, door, room]);

  const confirm = useCallback(() => {
    if (!leaving) return;
    const name = nameOf(leaving);
    setLeaving(null);
    void attempt(door.moderate(room, leaving.identity, 'remove'), ({ until }) => `${name} was removed${until ? `, and is kept out until ${clock(until)}` : ''}.`);
  }, [attempt, door, leaving, room]);

  const tell = useCallback((words: string | null) => setNotice((old) => (words === null ? null : { key: (old?.key ?? 0) + 1, words, bad: true })), []);

  return { moderation, notice, tell, leaving, confirm, cancel: () => setLeaving(null) };
}
