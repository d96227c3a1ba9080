import { planWords, pointless, type Plan, type PlanAction } from '../lib/plans';

export const ACTIONS: Record<PlanAction, string> = { subscribe: 'Subscribe', fail: 'Payment fails', cancel: 'Cancel' };

interface Props {
  plan: Plan;
  /** This window's own visitor. */
  self: boolean;
  busy: boolean;
  onAct(plan: Plan, action: PlanAction): void;
}

/** One caller's stage pass: who, what it is worth now, and what can be done about it. */
export function Pass({ plan, self, busy, onAct }: Props) {
  const { user, name, status } = plan;
  const words = planWords(status);
  return (
    <section className="pass" data-testid={`plan-${user}`} data-status={status} aria-label={`${name}’s plan`} aria-busy={busy}>
      {/* The paper has notches cut out; the shadow has to fall from outside of them. */}
      <div className="pass-paper">
        <div className="pass-stub">
          <span className="avatar" data-pays={status === 'active'} aria-hidden="true">
            {name.slice(0, 1)}
          </span>
          <div className="pass-text">
            <span className="pass-name">
              {name} {self && <em>you</em>}
            </span>
            <span className="pass-status">
              <span className="lamp" data-status={status} aria-hidden="true" />
              {words.status}
            </span>
          </div>
          {/* Keyed, so that every change is stamped anew. */}
          <span key={status} className="stamp" aria-hidden="true">
            {words.stamp}
          </span>
        </div>
        <div className="pass-actions">
          {(Object.keys(ACTIONS) as PlanAction[]).map((action) => (
            <Action
              key={action}
              id={`plan-${user}-${action}`}
              label={ACTIONS[action]}
              name={name}
              why={pointless(action, status)}
              primary={action === 'subscribe'}
              onAct={() => !busy && onAct(plan, action)}
            />
          ))}
        </div>
      </div>
    </section>
  );
}

interface ActionProps {
  id: string;
  label: string;
  name: string;
  /** Why it makes no sense now. It stays in reach of the keyboard all the same, to say so. */
  why?: string;
  primary: boolean;
  onAct(): void;
}

function Action({ id, label, name, why, primary, onAct }: ActionProps) {
  return (
    <>
      <button
        type="button"
        className={primary ? 'button button-small button-primary' : 'button button-small'}
        data-testid={id}
        aria-disabled={why !== undefined}
        aria-describedby={why && `${id}-why`}
        aria-label={`${label}: ${name}`}
        title={why}
        onClick={() => !why && onAct()}
      >
        {label}
      </button>
      {why && (
        <span id={`${id}-why`} hidden>
          {why}
        </span>
      )}
    </>
  );
}
