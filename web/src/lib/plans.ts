import type { Caller } from './config';

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
  const body = (await response.json()) as Answer & { error?: string };
  if (!response.ok) throw new Error(body.error ?? `HTTP ${response.status}`);
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

const WORDS: Record<PlanStatus, { status: string; about: string }> = {
  none: { status: 'no plan', about: 'Has no plan: may watch.' },
  active: { status: 'active', about: 'Has a plan: may watch and publish.' },
  past_due: { status: 'payment failed', about: 'The last payment failed: may watch.' },
  canceled: { status: 'cancelled', about: 'The plan was cancelled: may watch.' },
};

/** A status in words. */
export const statusWords = (status: PlanStatus) => WORDS[status]?.status ?? status;

/** The lobby's callers with what their plans say now. */
export function withPlans(callers: Caller[], plans: Plan[]): Caller[] {
  return callers.map((caller) => {
    const plan = plans.find((p) => p.user === caller.id);
    return plan ? { ...caller, pays: plan.status === 'active', about: WORDS[plan.status]?.about ?? caller.about } : caller;
  });
}
