import { useCallback, useEffect, useRef, useState } from 'react';
import type { Door, GuestPass, NewPass, PassWish } from '../lib/door';
import { refusal } from '../lib/problem';

/** How often the list is read while it is looked at: guests come in meanwhile. */
const EVERY_MS = 4000;

/** The caller's invitations to one room, and what can be done about them. */
export function useGuestList(door: Door, room: string, onStatus: (words: string) => void) {
  const [list, setList] = useState<GuestPass[] | null>(null);
  const [made, setMade] = useState<NewPass | null>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState('');
  const turn = useRef(0);

  const refresh = useCallback(async () => {
    const mine = ++turn.current;
    try {
      const all = await door.passes();
      // A newer question is on its way: this answer is the past.
      if (mine === turn.current) setList(all.filter((pass) => pass.room === room));
    } catch (error) {
      if (mine === turn.current) setTrouble(refusal(error));
    }
  }, [door, room]);

  useEffect(() => {
    void refresh();
    const timer = setInterval(() => document.visibilityState === 'visible' && void refresh(), EVERY_MS);
    return () => {
      clearInterval(timer);
      turn.current++;
    };
  }, [refresh]);

  async function attempt(doing: () => Promise<string>) {
    setBusy(true);
    setTrouble('');
    try {
      onStatus(await doing());
      await refresh();
    } catch (error) {
      setTrouble(refusal(error));
    } finally {
      setBusy(false);
    }
  }

  const invite = (wish: PassWish) =>
    attempt(async () => {
      setMade(await door.invite(wish));
      return 'The invitation is ready. Its link is shown once.';
    });
  const revoke = (pass: GuestPass) =>
    attempt(async () => {
      await door.revoke(pass.id);
      setMade((old) => (old?.id === pass.id ? null : old));
      return `The invitation for ${pass.name ?? 'anybody with the link'} was revoked.`;
    });
  return { list, made, busy, trouble, invite, revoke };
}
