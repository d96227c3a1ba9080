import { useEffect, useRef } from 'react';
import type { Participant } from 'livekit-client';
import { nameOf } from './useModeration';

interface Props {
  who: Participant;
  onConfirm(): void;
  onCancel(): void;
}

/** Asks before somebody is put out. Escape and the first button keep them. */
export function RemoveDialog({ who, onConfirm, onCancel }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const keep = useRef<HTMLButtonElement>(null);
  const name = nameOf(who);
  useEffect(() => {
    dialog.current?.showModal();
    keep.current?.focus();
  }, []);
  return (
    <dialog ref={dialog} className="dialog" data-testid="remove-dialog" aria-labelledby="remove-title" aria-describedby="remove-words" onClose={onCancel}>
      <h2 id="remove-title">Remove {name}?</h2>
      <p id="remove-words">
        {name} is put out at once, and kept out of this room for a while.
        {who.identity.startsWith('guest:') && ' Meanwhile the invitation lets no new guest in.'}
      </p>
      <div className="dialog-actions">
        <button type="button" className="button" ref={keep} onClick={() => dialog.current?.close()}>
          Keep {name}
        </button>
        <button
          type="button"
          className="button button-bad"
          data-testid="remove-confirm"
          onClick={() => {
            onConfirm();
            // The button that was pressed goes with the person; the focus shall not be lost with it.
            document.getElementById('main')?.focus();
          }}
        >
          Remove {name}
        </button>
      </div>
    </dialog>
  );
}
