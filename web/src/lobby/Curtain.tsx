import { useEffect, useRef } from 'react';
import '../styles/curtain.css';
import { Mark } from '../Icon';
import type { Ended } from '../useVisits';

/** A visit that somebody else ended: calmly what happened, and the way on. */
export function Curtain({ ended: { room, why }, onBack }: { ended: Ended; onBack(): void }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [why]);
  return (
    <main id="main" className="curtain" tabIndex={-1} data-testid="curtain" data-code={why?.code ?? 'asking'}>
      <Mark />
      {/* Named by its words alone: it takes the focus, and is read out with them. */}
      <h1 ref={heading} tabIndex={-1}>
        {why?.title ?? 'Your visit is over'}
      </h1>
      <p className="curtain-room">{room}</p>
      {why ? (
        <>
          <p className="curtain-words">{why.advice}</p>
          {why.detail && (
            <p className="curtain-detail" data-testid="curtain-detail">
              The door says: “{why.detail}”
            </p>
          )}
        </>
      ) : (
        <p className="curtain-words">Asking the door why…</p>
      )}
      <button type="button" className="button" data-testid="curtain-back" onClick={onBack}>
        Back to the lobby
      </button>
    </main>
  );
}
