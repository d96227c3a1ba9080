import { Icon } from '../Icon';
import type { Caller } from '../lib/config';
import { deniedTitle, deniedWords } from '../lib/words';

interface Props {
  reason: string | undefined;
  /** Whether the visitor came by invitation. */
  guest: boolean;
  payer?: Caller;
  onSwitch(caller: Caller): void;
}

/** The id that disabled controls name as their reason. */
export const REASON_ID = 'watch-reason';

export function WatchBanner({ reason, guest, payer, onSwitch }: Props) {
  return (
    <section className="banner" data-testid="watch-banner" aria-labelledby="watch-title">
      <Icon name="eye" />
      <div className="banner-text">
        <h2 id="watch-title">{deniedTitle(reason, guest)}</h2>
        <p id={REASON_ID} data-testid="watch-reason" data-reason={reason ?? 'unknown'}>
          {deniedWords(reason, guest)}
        </p>
      </div>
      {payer && (
        <button type="button" className="button button-primary" data-testid="switch-to-alice" onClick={() => onSwitch(payer)}>
          Join as {payer.name}, who has a plan
        </button>
      )}
    </section>
  );
}
