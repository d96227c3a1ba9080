import { useEffect, useRef, type FormEvent, type RefObject } from 'react';
import '../styles/guest.css';
import { useCountdown } from '../lib/useCountdown';
import type { Visits } from '../useVisits';
import { ErrorPanel } from './ErrorPanel';

interface Props {
  name: string;
  visits: Visits;
  /** Set where the guest comes back from a room. */
  focusHeading: RefObject<'heading' | null>;
  onName(name: string): void;
  onJoin(): void;
  /** Puts the invitation away, for the lobby of the demo's callers. */
  onForget(): void;
}

/** Where somebody arrives by invitation. Which room it is for is known when the door has seen it. */
export function GuestLobby({ name, visits, focusHeading, onName, onJoin, onForget }: Props) {
  const { joining, trouble } = visits;
  const heading = useRef<HTMLHeadingElement>(null);
  const wait = useCountdown(trouble?.notBefore);

  useEffect(() => {
    // The error panel takes the focus itself.
    if (focusHeading.current && !trouble) heading.current?.focus();
    focusHeading.current = null;
  }, [focusHeading, trouble]);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (wait === 0) onJoin();
  }

  return (
    <main id="main" className="lobby lobby-guest" tabIndex={-1} data-testid="guest-lobby">
      <div className="lobby-head">
        <h1 ref={heading} tabIndex={-1}>
          You are on the guest list
        </h1>
        <p className="lead">Somebody invited you to a room behind this door. No account and no plan needed: the invitation lets you in.</p>
      </div>
      {trouble && <ErrorPanel trouble={trouble} wait={wait} onRetry={onJoin} onDismiss={visits.clear} />}
      <form className="guest-form" onSubmit={submit} noValidate>
        <NameField name={name} onName={onName} />
        <div className="join-row">
          <button className="button button-primary button-join" type="submit" data-testid="join-button" disabled={joining || wait > 0}>
            {joining ? 'Asking the door…' : wait > 0 ? `Again in ${wait} s` : 'Come in'}
          </button>
          {joining && (
            <button className="button" type="button" onClick={visits.cancel}>
              Cancel
            </button>
          )}
        </div>
        <p className="hint">You come in without camera and microphone. If you may go on stage, you turn them on in there.</p>
      </form>
      <p className="guest-other">
        Not a guest?{' '}
        <button type="button" className="link" data-testid="forget-invitation" onClick={onForget}>
          Open the demo’s own lobby
        </button>
      </p>
    </main>
  );
}

function NameField({ name, onName }: Pick<Props, 'name' | 'onName'>) {
  return (
    <label className="field">
      <span>
        Your name <em>optional</em>
      </span>
      <input
        data-testid="guest-name"
        name="name"
        value={name}
        onChange={(event) => onName(event.target.value)}
        placeholder="As the others will see you"
        autoComplete="name"
        aria-describedby="guest-hint"
      />
      <small id="guest-hint">If the invitation has a name for you already, leave this empty.</small>
    </label>
  );
}
