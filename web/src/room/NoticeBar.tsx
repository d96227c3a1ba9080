import { useEffect } from 'react';
import { Icon } from '../Icon';
import type { Notice } from './useModeration';

const STAYS_MS = 8000;

/** What a moderator's click came to. Good news goes by itself; a refusal stays until it is put away. */
export function NoticeBar({ notice, onDismiss }: { notice: Notice; onDismiss(): void }) {
  const { key, bad, words } = notice;
  useEffect(() => {
    if (bad) return;
    const timer = setTimeout(onDismiss, STAYS_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return (
    <p className="notice" data-testid="notice" data-bad={bad} role={bad ? 'alert' : undefined} key={key}>
      <span>{words}</span>
      <button type="button" className="notice-close" onClick={onDismiss}>
        <Icon name="close" />
        <span className="sr-only">Dismiss</span>
      </button>
    </p>
  );
}
