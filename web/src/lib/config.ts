import { planWords, type Plan, type PlanStatus } from './plans';

/** One caller of the demo. Its token stays in memory: never in the address, in storage or in the page. */
export interface Caller {
  id: string;
  name: string;
  token: string;
  pays: boolean;
  /** What Stripe says of their plan, where the demo's own runs. */
  status?: PlanStatus;
  about: string;
}

export interface DemoConfig {
  version: string;
  livekitUrl: string;
  room: string;
  callers: Caller[];
  /** Whether the callers' plans can be changed: the demo's own Stripe runs. */
  plans: boolean;
}

/** The id of the card that takes a token of the visitor's own. */
export const CUSTOM = 'custom';

/** A caller's short name, for links and test hooks: "Alice" is alice. */
export function slug(caller: Caller): string {
  return caller.name.toLowerCase().replace(/[^a-z0-9]+/g, '-') || caller.id;
}

export const NO_CONFIG: DemoConfig = { version: '', livekitUrl: '', room: 'demo', callers: [], plans: false };

/** Asks the door who its demo callers are. Only `stagedoor dev` answers. */
export async function loadConfig(): Promise<DemoConfig> {
  const response = await fetch('/demo/config.json', { cache: 'no-store' });
  if (!response.ok) throw new Error(`/demo/config.json answered ${response.status}`);
  return { ...NO_CONFIG, ...((await response.json()) as Partial<DemoConfig>) };
}

/** The callers with what their plans say now. */
export function withPlans(callers: Caller[], plans: Plan[]): Caller[] {
  return callers.map((caller) => {
    const plan = plans.find((each) => each.user === caller.id);
    return plan ? { ...caller, status: plan.status, pays: plan.status === 'active', about: planWords(plan.status).about } : caller;
  });
}
