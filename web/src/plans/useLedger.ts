import { useCallback, useEffect, useReducer, useRef, useState } from 'react';
import { RoomEvent, type Participant, type Room } from 'livekit-client';
import { changePlan, type Plan, type PlanAction } from '../lib/plans';
import type { Plans } from '../lib/usePlans';
import { EMPTY, enter } from './ledger';

/** What happened to the plans, here and elsewhere, and what this window saw of it. */
export function useLedger(room: Room, plans: Plans) {
  const [{ entries }, dispatch] = useReducer(enter, EMPTY);
  const [busy, setBusy] = useState<string | null>(null);
  const count = useRef(0);
  const { list, put, refresh } = plans;

  useEffect(() => dispatch({ type: 'heard', plans: list, at: performance.now() }), [list]);

  useEffect(() => {
    const changed = (before: { canPublish: boolean } | undefined, who: Participant) => {
      const at = performance.now();
      const now = who.permissions?.canPublish ?? false;
      // Whoever just came in had none before; and other permissions change too.
      if (!before || before.canPublish === now) return;
      dispatch({ type: 'stage', user: who.identity, name: who.name || who.identity, stage: now ? 'open' : 'closed', at });
      refresh();
    };
    room.on(RoomEvent.ParticipantPermissionsChanged, changed);
    return () => void room.off(RoomEvent.ParticipantPermissionsChanged, changed);
  }, [room, refresh]);

  const act = useCallback(
    async (plan: Plan, action: PlanAction) => {
      const key = ++count.current;
      setBusy(plan.user);
      dispatch({ type: 'pressed', key, plan, action, at: performance.now() });
      try {
        const now = await changePlan(plan.user, action);
        const changed = now.find((each) => each.user === plan.user);
        if (changed) dispatch({ type: 'answered', key, plan: changed });
        put(now);
      } catch (error) {
        dispatch({ type: 'refused', key, error: (error as Error).message });
        refresh();
      } finally {
        setBusy(null);
      }
    },
    [put, refresh],
  );

  return { entries, busy, act };
}
