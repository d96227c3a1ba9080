import { useState } from 'react';
import type { Room } from 'livekit-client';
import '../styles/plans.css';
import { Icon } from '../Icon';
import { pointless, statusWords, type Plan, type PlanAction } from '../lib/plans';
import { usePlans, type Happening } from './usePlans';

const ACTIONS: [PlanAction, string][] = [
  ['subscribe', 'Subscribe'],
  ['fail', 'Payment fails'],
  ['cancel', 'Cancel'],
];

/** The box office: every caller's stage pass, and what a change of it did to the call. */
export function PlanPanel({ room, self }: { room: Room; self: string }) {
  const { plans, happenings, busy, act } = usePlans(room);
  const [open, setOpen] = useState(false);
  // Who has no plan at the start is who the demo is about.
  const sorted = [...plans].reverse();
  return (
    <aside className="plans" data-open={open} aria-labelledby="plans-title" data-testid="plan-panel">
      <h2 className="plans-head">
        <button type="button" className="plans-toggle" data-testid="plan-toggle" aria-expanded={open} aria-controls="plans-body" onClick={() => setOpen(!open)}>
          <Icon name="ticket" />
          <span id="plans-title">Box office</span>
          <span className="plans-short">
            {sorted.map((plan) => (
              <span key={plan.user} className="plans-short-one">
                <span className="lamp" data-status={plan.status} aria-hidden="true" />
                {plan.name}
              </span>
            ))}
          </span>
          <Icon name={open ? 'down' : 'up'} />
        </button>
      </h2>
      <div className="plans-body" id="plans-body">
        <p className="plans-lead">A small Stripe of the demo’s own. One click here, and the call changes.</p>
        {sorted.map((plan) => (
          <Pass key={plan.user} plan={plan} self={plan.user === self} busy={busy === plan.user} onAct={act} />
        ))}
        <Timeline happenings={happenings} />
      </div>
    </aside>
  );
}

function Pass({ plan, self, busy, onAct }: { plan: Plan; self: boolean; busy: boolean; onAct(plan: Plan, action: PlanAction): void }) {
  return (
    <section className="pass" data-testid={`plan-${plan.user}`} data-status={plan.status} aria-label={`${plan.name}’s plan`}>
      <div className="pass-stub">
        <span className="avatar" data-pays={plan.status === 'active'} aria-hidden="true">
          {plan.name.slice(0, 1)}
        </span>
        <div className="pass-text">
          <span className="pass-name">
            {plan.name} {self && <em>you</em>}
          </span>
          <span className="pass-status" role="status">
            <span className="lamp" data-status={plan.status} aria-hidden="true" />
            {statusWords(plan.status)}
          </span>
        </div>
        <span className="pass-price" aria-hidden="true">
          {plan.status === 'active' ? 'ADMIT ONE' : 'AUDIENCE'}
        </span>
      </div>
      <div className="pass-actions">
        {ACTIONS.map(([action, label]) => {
          const why = pointless(action, plan.status);
          const id = `plan-${plan.user}-${action}`;
          return (
            <button
              key={action}
              type="button"
              className={action === 'subscribe' ? 'button button-small button-primary' : 'button button-small'}
              data-testid={id}
              aria-disabled={busy || why !== undefined}
              aria-describedby={why ? `${id}-why` : undefined}
              aria-label={`${label}: ${plan.name}`}
              title={why}
              onClick={() => !busy && !why && onAct(plan, action)}
            >
              {label}
              {why && (
                <span id={`${id}-why`} hidden>
                  {why}
                </span>
              )}
            </button>
          );
        })}
      </div>
    </section>
  );
}

const DID: Record<PlanAction, string> = { subscribe: 'subscribed', fail: 'could not pay', cancel: 'cancelled' };

/** Only what was measured in this window is shown as a time. */
function Timeline({ happenings }: { happenings: Happening[] }) {
  return (
    <ol className="happenings" data-testid="plan-timeline" aria-live="polite" aria-label="What happened">
      {happenings.map((one) => (
        <li key={one.key} data-stage={one.stage}>
          <span className="happening-what">
            {one.action ? `${one.name} ${DID[one.action]}` : `${one.name}’s rights changed`}
          </span>
          {one.error && <span className="happening-step happening-error">{one.error}</span>}
          {one.stripeMs !== undefined && !one.stage && (
            <span className="happening-step">
              Stripe knows <b>{Math.round(one.stripeMs)} ms</b>
            </span>
          )}
          {one.stage && (
            <span className="happening-step happening-stage">
              stage {one.stage} {one.stageMs !== undefined && <b>{Math.round(one.stageMs)} ms</b>}
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}
