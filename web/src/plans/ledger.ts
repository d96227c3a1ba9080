import type { Plan, PlanAction, PlanStatus } from '../lib/plans';

export type Stage = 'open' | 'closed';

/** One change of one caller's plan, and what was seen of it in this window. */
export interface Entry {
  key: number;
  user: string;
  name: string;
  /** When it was first heard of, on the page's own clock. */
  at: number;
  /** What was pressed here; nothing when the change came from elsewhere. */
  action?: PlanAction;
  /**
   * What Stripe said. Without a time: the answer to the click is read whenever
   * the page gets round to it, often after LiveKit's event that it caused.
   */
  stripe?: { status: PlanStatus };
  /** What LiveKit said; `ms` from the click, and so only where that was made here. */
  livekit?: { stage: Stage; ms?: number };
  error?: string;
}

export interface Ledger {
  /** Newest first. */
  entries: Entry[];
  /** The last status heard of, per caller. */
  known: Record<string, PlanStatus>;
}

export type Event =
  | { type: 'pressed'; key: number; plan: Plan; action: PlanAction; at: number }
  | { type: 'answered'; key: number; plan: Plan }
  | { type: 'refused'; key: number; error: string }
  | { type: 'heard'; plans: Plan[]; at: number }
  | { type: 'stage'; user: string; name: string; stage: Stage; at: number };

export const EMPTY: Ledger = { entries: [], known: {} };

/** Farther apart than this, two reports are about two changes. */
const BELONGS_MS = 15_000;
const KEPT = 6;

const stageOf = (status: PlanStatus): Stage => (status === 'active' ? 'open' : 'closed');

/** What an entry comes to on stage: a report of the opposite is about something else. */
function leadsTo({ action, stripe, livekit }: Entry): Stage | undefined {
  if (stripe) return stageOf(stripe.status);
  if (action) return action === 'subscribe' ? 'open' : 'closed';
  return livekit?.stage;
}

/**
 * The entry that a report completes. Only a caller's newest one may be, or a
 * click that changed nothing on stage would be given a later event, and its time.
 */
function awaiting(entries: Entry[], user: string, stage: Stage, at: number, lacks: 'stripe' | 'livekit'): Entry | undefined {
  const newest = entries.find((entry) => entry.user === user);
  const fits = newest && !newest[lacks] && !newest.error && at - newest.at < BELONGS_MS && leadsTo(newest) === stage;
  return fits ? newest : undefined;
}

function add(entries: Entry[], entry: Omit<Entry, 'key'> & { key?: number }): Entry[] {
  // Keys of what was not pressed here are negative, so that they never meet those that were.
  const key = Math.min(0, ...entries.map((each) => each.key)) - 1;
  return [{ key, ...entry }, ...entries].slice(0, KEPT);
}

function amend(entries: Entry[], key: number, more: (old: Entry) => Partial<Entry>): Entry[] {
  return entries.map((entry) => (entry.key === key ? { ...entry, ...more(entry) } : entry));
}

/** What Stripe says of a caller, when nobody here has just asked for it. */
function hear({ entries, known }: Ledger, { user, name, status }: Plan, at: number): Ledger {
  const before = known[user];
  if (before === status) return { entries, known };
  const now = { ...known, [user]: status };
  // The first look is how things are, not something that happened.
  if (before === undefined) return { entries, known: now };
  const open = awaiting(entries, user, stageOf(status), at, 'stripe');
  const stripe = { status };
  return { known: now, entries: open ? amend(entries, open.key, () => ({ stripe })) : add(entries, { user, name, at, stripe }) };
}

/** Brings one event into the ledger. */
export function enter(ledger: Ledger, event: Event): Ledger {
  const { entries, known } = ledger;
  switch (event.type) {
    case 'pressed': {
      const { key, plan, action, at } = event;
      return { known, entries: add(entries, { key, user: plan.user, name: plan.name, at, action }) };
    }
    case 'answered': {
      const { key, plan } = event;
      return { known: { ...known, [plan.user]: plan.status }, entries: amend(entries, key, () => ({ stripe: { status: plan.status } })) };
    }
    case 'refused':
      // Whatever moved meanwhile, it was not this click.
      return { known, entries: amend(entries, event.key, ({ livekit }) => ({ error: event.error, livekit: livekit && { ...livekit, ms: undefined } })) };
    case 'heard':
      return event.plans.reduce((all, plan) => hear(all, plan, event.at), ledger);
    case 'stage': {
      const { user, name, stage, at } = event;
      const open = awaiting(entries, user, stage, at, 'livekit');
      if (!open) return { known, entries: add(entries, { user, name, at, livekit: { stage } }) };
      return { known, entries: amend(entries, open.key, (old) => ({ livekit: { stage, ms: old.action ? at - old.at : undefined } })) };
    }
  }
}
