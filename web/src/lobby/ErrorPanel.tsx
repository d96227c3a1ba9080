import { useEffect, useRef } from 'react';
import { Icon } from '../Icon';
import type { Problem } from '../lib/problem';

interface Props {
  trouble: Problem;
  /** Seconds until another try makes sense. */
  wait: number;
  onRetry(): void;
  onDismiss(): void;
}

/** What went wrong, what to do, and what to tell whoever runs the door. */
export function ErrorPanel({ trouble, wait, onRetry, onDismiss }: Props) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus(), [trouble]);
  const { title, advice, detail, code, requestId, again } = trouble;
  return (
    <section className="error" data-testid="error-panel" role="alert" tabIndex={-1} ref={panel} aria-labelledby="error-title">
      <span className="error-lamp" aria-hidden="true" />
      <div className="error-text">
        <h2 id="error-title">{title}</h2>
        <p>
          {advice}
          {detail && detail !== advice && <span className="error-detail"> The door says: “{detail}”</span>}
        </p>
        <p className="fine">
          <code data-testid="error-code">{code}</code>
          {requestId && (
            <>
              {' '}
              · request <code data-testid="request-id">{requestId}</code>
            </>
          )}
        </p>
      </div>
      <div className="error-actions">
        {again && (
          <button type="button" className="button" onClick={onRetry} disabled={wait > 0}>
            {/* Not spoken second by second: the panel is an alert. */}
            <span aria-hidden={wait > 0}>{wait > 0 ? `Again in ${wait} s` : 'Try again'}</span>
            {wait > 0 && <span className="sr-only">Try again after a short wait</span>}
          </button>
        )}
        <button type="button" className="button button-quiet button-icon" onClick={onDismiss}>
          <Icon name="close" />
          <span className="sr-only">Dismiss</span>
        </button>
      </div>
    </section>
  );
}
