import type { GuestPass } from '../lib/door';

type Standing = 'open' | 'revoked' | 'expired' | 'used';

function standing({ revoked, expires, used, uses }: GuestPass): Standing {
  if (revoked) return 'revoked';
  if (Date.parse(expires) <= Date.now()) return 'expired';
  return used >= uses ? 'used' : 'open';
}

/** How long until a time, in the largest unit that says enough: "in 3 hours". */
export function timeLeft(expires: string, now = Date.now()): string {
  const minutes = Math.max(1, Math.round((Date.parse(expires) - now) / 60_000));
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'always' });
  if (minutes < 90) return words.format(minutes, 'minute');
  if (minutes < 48 * 60) return words.format(Math.round(minutes / 60), 'hour');
  return words.format(Math.round(minutes / 1440), 'day');
}

const STAMPS: Record<Standing, string> = { open: '', revoked: 'Revoked', expired: 'Expired', used: 'All came' };

/** One invitation: for whom, how many have come, until when. Revoking puts its guests out. */
export function PassRow({ pass, busy, onRevoke }: { pass: GuestPass; busy: boolean; onRevoke(): void }) {
  const state = standing(pass);
  const name = pass.name ?? 'Anybody with the link';
  const ends = state === 'open' || state === 'used';
  return (
    <li className="guest-pass" data-testid="pass" data-id={pass.id} data-standing={state}>
      <div className="guest-pass-text">
        <p className="guest-pass-name">
          <span className="guest-pass-who">{name}</span> <span className="guest-pass-right">{pass.publish ? 'may go on stage' : 'watches'}</span>
        </p>
        <p className="guest-pass-facts">
          {pass.used} of {pass.uses} came{ends && ` · ends ${timeLeft(pass.expires)}`}
        </p>
      </div>
      {state !== 'open' && <span className="guest-pass-stamp">{STAMPS[state]}</span>}
      {ends && (
        <button type="button" className="button button-small" data-testid="pass-revoke" aria-disabled={busy} aria-label={`Revoke the invitation for ${name}`} title="Takes the link back, and puts its guests out" onClick={() => !busy && onRevoke()}>
          Revoke
        </button>
      )}
    </li>
  );
}
