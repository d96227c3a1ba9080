import { useState } from 'react';
import type { Room } from 'livekit-client';
import '../styles/plans.css';
import '../styles/pass.css';
import { Icon } from '../Icon';
import { useMedia } from '../lib/useMedia';
import type { Plans } from '../lib/usePlans';
import { Pass } from './Pass';
import { Timeline } from './Timeline';
import { useLedger } from './useLedger';

/** Where the panel is a drawer: the same width as in plans.css. */
const NARROW = '(max-width: 980px)';

/** The box office: every caller's stage pass, and what a change of it did to the call. */
export function PlanPanel({ room, plans, self }: { room: Room; plans: Plans; self: string }) {
  const { entries, busy, act } = useLedger(room, plans);
  const [open, setOpen] = useState(false);
  const narrow = useMedia(NARROW);
  // Whoever has no plan at the start is whom the demo is about.
  const sorted = [...plans.list].reverse();
  const title = (
    <>
      <Icon name="ticket" />
      <span id="plans-title">Box office</span>
    </>
  );
  return (
    <aside className="plans" data-open={open} aria-labelledby="plans-title" data-testid="plan-panel">
      <h2 className="plans-head">
        {narrow ? (
          <button type="button" className="plans-title" data-testid="plan-toggle" aria-expanded={open} aria-controls="plans-body" onClick={() => setOpen(!open)}>
            {title}
            <span className="plans-short" aria-hidden="true">
              {sorted.map((plan) => (
                <span key={plan.user} className="plans-short-one">
                  <span className="lamp" data-status={plan.status} />
                  {plan.name}
                </span>
              ))}
            </span>
            <Icon name={open ? 'down' : 'up'} />
          </button>
        ) : (
          <span className="plans-title">{title}</span>
        )}
      </h2>
      <div className="plans-body" id="plans-body">
        <p className="plans-lead">A small Stripe of the demo’s own. One click here, and the call changes.</p>
        {sorted.map((plan) => (
          <Pass key={plan.user} plan={plan} self={plan.user === self} busy={busy === plan.user} onAct={(...what) => void act(...what)} />
        ))}
        <Timeline entries={entries} />
      </div>
    </aside>
  );
}
