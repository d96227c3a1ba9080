import { useCallback, useEffect, useRef, useState } from 'react';
import { RoomEvent, type Participant, type Room } from 'livekit-client';
import { changePlan, loadPlans, type Plan, type PlanAction } from '../lib/plans';

/** One change and what was seen of it in this window, in milliseconds from the click. */
export interface Happening {
  key: number;
  user: string;
  name: string;
  /** What was pressed here; nothing when the change came from another window. */
  action?: PlanAction;
  /** When the demo's Stripe had answered. */
  stripeMs?: number;
  /** When LiveKit's event was here, and what it said. */
  stageMs?: number;
  stage?: 'open' | 'closed';
  error?: string;
}

const EVERY = 2000;
/** Longer than this a permission event has another cause than the last click. */
const BELONGS = 15_000;
const KEPT = 6;

interface Pressed {
  key: number;
  at: number;
}

/** The plans, what was pressed, and the events that followed in this room. */
export function usePlans(room: Room) {
  const [plans, setPlans] = useState<Plan[]>([]);
  const [happenings, setHappenings] = useState<Happening[]>([]);
  const [busy, setBusy] = useState<string | null>(null);
  const pressed = useRef(new Map<string, Pressed>());
  const count = useRef(0);

  const note = useCallback((one: Happening) => setHappenings((old) => [one, ...old].slice(0, KEPT)), []);
  const amend = useCallback(
    (key: number, more: Partial<Happening>) => setHappenings((old) => old.map((each) => (each.key === key ? { ...each, ...more } : each))),
    [],
  );

  useEffect(() => {
    let over = false;
    const look = () => {
      if (document.visibilityState === 'visible') loadPlans().then((now) => !over && setPlans(now), () => {});
    };
    look();
    const timer = setInterval(look, EVERY);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, []);

  useEffect(() => {
    const changed = (before: { canPublish: boolean } | undefined, who: Participant) => {
      // Somebody who just came in has had none before.
      if (!before || before.canPublish === who.permissions?.canPublish) return;
      const stage = who.permissions?.canPublish ? 'open' : 'closed';
      const click = pressed.current.get(who.identity);
      const ms = click && performance.now() - click.at;
      if (click && ms !== undefined && ms < BELONGS) {
        pressed.current.delete(who.identity);
        amend(click.key, { stage, stageMs: ms });
      } else note({ key: ++count.current, user: who.identity, name: who.name || who.identity, stage });
      loadPlans().then(setPlans, () => {});
    };
    room.on(RoomEvent.ParticipantPermissionsChanged, changed);
    return () => void room.off(RoomEvent.ParticipantPermissionsChanged, changed);
  }, [room, note, amend]);

  const act = useCallback(
    async (plan: Plan, action: PlanAction) => {
      const key = ++count.current;
      const at = performance.now();
      pressed.current.set(plan.user, { key, at });
      note({ key, user: plan.user, name: plan.name, action });
      setBusy(plan.user);
      try {
        const now = await changePlan(plan.user, action);
        amend(key, { stripeMs: performance.now() - at });
        setPlans(now);
      } catch (error) {
        pressed.current.delete(plan.user);
        amend(key, { error: (error as Error).message });
      } finally {
        setBusy(null);
      }
    },
    [note, amend],
  );

  return { plans, happenings, busy, act };
}
