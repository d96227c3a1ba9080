/** What Stripe says of one demo caller's subscription. */
export type PlanStatus = 'none' | 'active' | 'past_due' | 'canceled';

export interface Plan {
  user: string;
  name: string;
  status: PlanStatus;
}

export type PlanAction = 'subscribe' | 'fail' | 'cancel';

interface Answer {
  plans: Plan[];
}

/** The callers' plans as the demo's Stripe has them. */
export async function loadPlans(): Promise<Plan[]> {
  const response = await fetch('/demo/plans', { cache: 'no-store' });
  if (!response.ok) throw new Error(`/demo/plans answered ${response.status}`);
  return ((await response.json()) as Answer).plans;
}

/** Does at the demo's Stripe what a payer, or their bank, would do at the real one. */
export async function changePlan(user: string, action: PlanAction): Promise<Plan[]> {
  const response = await fetch('/demo/plans', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user, action }),
  });
  const body = (await response.json().catch(() => ({}))) as Partial<Answer> & { error?: string };
  if (!response.ok || !body.plans) throw new Error(body.error ?? `The door answered ${response.status}.`);
  return body.plans;
}

/** Why an action makes no sense in a status; nothing when it does. */
export function pointless(action: PlanAction, status: PlanStatus): string | undefined {
  switch (action) {
    case 'subscribe':
      return status === 'active' ? 'The plan is active already.' : undefined;
    case 'fail':
      return status === 'active' ? undefined : status === 'past_due' ? 'The payment has failed already.' : 'There is nothing to pay.';
    case 'cancel':
      return status === 'active' || status === 'past_due' ? undefined : 'There is no plan to cancel.';
  }
}

interface Words {
  /** On the pass. */
  status: string;
  /** Stamped on it. */
  stamp: string;
  /** What Stripe reports. */
  report: string;
  /** On the lobby's card. */
  about: string;
  /** After the caller's name. */
  standing: string;
}

const WORDS: Record<PlanStatus, Words> = {
  none: { status: 'no plan', stamp: 'Audience', report: 'no subscription', about: 'Has no plan: may watch.', standing: ' has no plan' },
  active: { status: 'active', stamp: 'Admit one', report: 'subscription active', about: 'Has a plan: may watch and publish.', standing: ' has a plan' },
  past_due: { status: 'payment failed', stamp: 'Past due', report: 'payment failed', about: 'The last payment failed: may watch.', standing: '’s last payment failed' },
  canceled: { status: 'cancelled', stamp: 'Void', report: 'subscription cancelled', about: 'The plan was cancelled: may watch.', standing: '’s plan was cancelled' },
};

/** A status in words; one that this page does not know, of a newer door, in its own. */
export function planWords(status: PlanStatus): Words {
  return WORDS[status] ?? { ...WORDS.none, status, report: status };
}
