import { planWords } from '../lib/plans';
import type { Entry } from './ledger';
import { ACTIONS } from './Pass';

/** What happened, newest first. */
export function Timeline({ entries }: { entries: Entry[] }) {
  const measured = entries.some(({ livekit }) => livekit?.ms !== undefined);
  return (
    <div className="happenings-box">
      <ol className="happenings" data-testid="plan-timeline" aria-live="polite" aria-label="What happened">
        {entries.map((entry) => (
          <Happening key={entry.key} entry={entry} />
        ))}
      </ol>
      {measured && <p className="happenings-note">Milliseconds from the click, measured in this window.</p>}
    </div>
  );
}

function Happening({ entry: { user, name, action, stripe, livekit, error } }: { entry: Entry }) {
  return (
    <li data-stage={error ? 'refused' : livekit?.stage}>
      <p className="happening-what">
        {name} <span>{action ? ACTIONS[action] : user.startsWith('guest:') ? 'a guest, follows the host' : 'changed elsewhere'}</span>
      </p>
      {error && <p className="happening-error">{error}</p>}
      {stripe && <Step who="Stripe" what={planWords(stripe.status).report} />}
      {livekit && <Step who="LiveKit" what={`stage ${livekit.stage}`} ms={livekit.ms} />}
    </li>
  );
}

function Step({ who, what, ms }: { who: string; what: string; ms?: number }) {
  return (
    <p className="step">
      <span>
        <span className="step-who">{who}:</span> {what}
      </span>
      {ms !== undefined && (
        <>
          <span className="step-leader" aria-hidden="true" />
          <b>
            <span className="sr-only"> after </span>
            {Math.round(ms)} ms
          </b>
        </>
      )}
    </p>
  );
}
