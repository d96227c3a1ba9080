import { useEffect, useRef, useState } from 'react';
import { Icon } from '../Icon';
import type { NewPass } from '../lib/door';

/** Backwards, so that the field shows where the link leads, and not its secret end. */
function selectAll(input: HTMLInputElement) {
  input.setSelectionRange(0, input.value.length, 'backward');
  requestAnimationFrame(() => (input.scrollLeft = 0));
}

/** The link of a new invitation. The door does not know it any more, so it is shown this once. */
export function InviteLink({ pass }: { pass: NewPass }) {
  const input = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState('');

  useEffect(() => {
    input.current?.scrollIntoView({ block: 'nearest' });
    input.current?.focus();
  }, []);

  async function copy() {
    try {
      await navigator.clipboard.writeText(pass.url);
      setCopied('Copied.');
    } catch {
      // Not on plain http, and not where the browser forbids it.
      if (input.current) selectAll(input.current);
      setCopied('Your browser does not let this page copy. The link is selected: copy it yourself.');
    }
  }

  return (
    <section className="made" aria-labelledby="made-title" data-testid="invite-made">
      <h3 id="made-title">The link for {pass.name ?? 'your guest'}</h3>
      <div className="made-row">
        <input ref={input} readOnly value={pass.url} data-testid="invite-url" aria-label="Invitation link" aria-describedby="made-once" onFocus={(event) => selectAll(event.target)} />
        <button type="button" className="button button-primary" data-testid="invite-copy" onClick={() => void copy()}>
          <Icon name="copy" /> Copy
        </button>
      </div>
      <p className="made-once" id="made-once">
        Shown this once. Who has it comes in.
      </p>
      <p className="made-copied" role="status">
        {copied}
      </p>
    </section>
  );
}
