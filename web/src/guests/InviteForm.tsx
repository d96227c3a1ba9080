import { useState, type FormEvent } from 'react';
import type { PassWish } from '../lib/door';

interface Props {
  room: string;
  mayPublish: boolean;
  busy: boolean;
  onInvite(wish: PassWish): void;
}

const USES = [1, 2, 5, 20, 100];
const HOUR = 3600;
const LASTS: [string, number][] = [
  ['10 minutes', HOUR / 6],
  ['1 hour', HOUR],
  ['1 day', 24 * HOUR],
  ['1 week', 7 * 24 * HOUR],
  ['30 days', 30 * 24 * HOUR],
];

/** Whom an invitation is for, what it allows, and how long. */
export function InviteForm({ room, mayPublish, busy, onInvite }: Props) {
  const [name, setName] = useState('');
  const [publish, setPublish] = useState(false);
  const [uses, setUses] = useState(1);
  const [lasts, setLasts] = useState(24 * HOUR);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (busy) return;
    // A right that was lost while the form stood open is not asked for.
    onInvite({ room, name: name.trim() || undefined, publish: publish && mayPublish, uses, expires: lasts });
    setName('');
  }

  return (
    <form className="invite" onSubmit={submit} data-testid="invite-form">
      <label className="field invite-name">
        <span>
          Guest’s name <em>optional</em>
        </span>
        <input data-testid="invite-name" value={name} onChange={(event) => setName(event.target.value)} placeholder="Else they choose one" autoComplete="off" />
      </label>
      <label className="field">
        <span>Guests</span>
        <select data-testid="invite-uses" value={uses} onChange={(event) => setUses(Number(event.target.value))}>
          {USES.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>Good for</span>
        <select data-testid="invite-expires" value={lasts} onChange={(event) => setLasts(Number(event.target.value))}>
          {LASTS.map(([words, seconds]) => (
            <option key={seconds} value={seconds}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <PublishSwitch on={publish && mayPublish} open={mayPublish} onSwitch={setPublish} />
      <button type="submit" className="button button-primary invite-make" data-testid="invite-make" aria-disabled={busy}>
        Make the link
      </button>
    </form>
  );
}

/** Guests may publish only as long as their host may, so without that right it stays off. */
function PublishSwitch({ on, open, onSwitch }: { on: boolean; open: boolean; onSwitch(on: boolean): void }) {
  return (
    <label className="switch" data-off={!open}>
      <input
        type="checkbox"
        role="switch"
        data-testid="invite-publish"
        checked={on}
        disabled={!open}
        onChange={(event) => onSwitch(event.target.checked)}
        aria-describedby="invite-publish-hint"
      />
      <span className="switch-track" aria-hidden="true" />
      <span>
        May go on stage
        <small id="invite-publish-hint">{open ? 'As long as you may yourself.' : 'You may not publish yourself at the moment.'}</small>
      </span>
    </label>
  );
}
