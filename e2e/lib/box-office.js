// The demo's own Stripe, as its box office asks it to change a plan.
import { post } from './door.js';

/** What a press of a button asks of the door: `subscribe`, `fail` or `cancel`, for `alice` or `bob`. */
export function act(world, user, action) {
  return post(`${world.url}/demo/plans`, null, { user, action });
}

/** Gives Alice and Bob the plans that a test begins with: true for one that is paid. */
export async function plans(world, wanted) {
  const { plans: now } = await (await fetch(`${world.url}/demo/plans`)).json();
  for (const { user, status } of now) {
    if (wanted[user] && status !== 'active') await act(world, user, 'subscribe');
    if (!wanted[user] && (status === 'active' || status === 'past_due')) await act(world, user, 'cancel');
  }
}
