import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { loadPlans, type Plan } from './plans';

const EVERY_MS = 2000;

export interface Plans {
  /** In the door's order; empty until it has answered. */
  list: Plan[];
  /** Takes over what an action was answered with. */
  put(list: Plan[]): void;
  /** Asks now instead of at the next turn. */
  refresh(): void;
}

/** Follows the callers' plans while the page is in sight, so that all windows agree. */
export function usePlans(enabled: boolean): Plans {
  const [list, setList] = useState<Plan[]>([]);
  // An answer is dropped when a newer one came first: it would show the past.
  const asked = useRef(0);
  const taken = useRef(0);

  const put = useCallback((now: Plan[]) => {
    taken.current = ++asked.current;
    setList((old) => (JSON.stringify(old) === JSON.stringify(now) ? old : now));
  }, []);

  const refresh = useCallback(() => {
    if (!enabled || document.visibilityState !== 'visible') return;
    const turn = ++asked.current;
    loadPlans().then(
      (now) => {
        if (turn < taken.current) return;
        taken.current = turn;
        setList((old) => (JSON.stringify(old) === JSON.stringify(now) ? old : now));
      },
      () => {}, // The door may be restarting: the next turn tells.
    );
  }, [enabled]);

  useEffect(() => {
    refresh();
    const timer = setInterval(refresh, EVERY_MS);
    document.addEventListener('visibilitychange', refresh);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', refresh);
    };
  }, [refresh]);

  return useMemo(() => ({ list, put, refresh }), [list, put, refresh]);
}
