import { useEffect, useRef, type FormEvent, type RefObject } from 'react';
import { CUSTOM, type Caller, type DemoConfig } from '../lib/config';
import { planWords } from '../lib/plans';
import type { Problem } from '../lib/problem';
import { useCountdown } from '../lib/useCountdown';
import type { Preview } from '../lib/usePreview';
import { CallerCards } from './CallerCards';
import { ErrorPanel } from './ErrorPanel';
import type { Fields } from './fields';
import { PreviewBox } from './PreviewBox';

interface Props {
  config: DemoConfig;
  fields: Fields;
  onChange(next: Partial<Fields>): void;
  preview: Preview;
  joining: boolean;
  trouble: Problem | null;
  /** Set where the visitor comes back from a room. */
  focusHeading: RefObject<'heading' | null>;
  onJoin(): void;
  onCancel(): void;
  onDismiss(): void;
}

export function Lobby({ config, fields, onChange, preview, joining, trouble, focusHeading, onJoin, onCancel, onDismiss }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const chosen = config.callers.find((caller) => caller.id === fields.caller);
  const watches = chosen !== undefined && !chosen.pays;
  const wait = useCountdown(trouble?.notBefore);

  useEffect(() => {
    // The error panel takes the focus itself.
    if (focusHeading.current && !trouble) heading.current?.focus();
    focusHeading.current = null;
  }, [focusHeading, trouble]);

  const { openGranted } = preview;
  useEffect(() => {
    // Nobody who comes to watch needs to find their camera running.
    if (!watches) openGranted();
  }, [watches, openGranted]);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (wait === 0) onJoin();
  }

  return (
    <main id="main" className="lobby" tabIndex={-1}>
      <div className="lobby-head">
        <h1 ref={heading} tabIndex={-1}>
          Who’s at the door?
        </h1>
        <p className="lead">Stagedoor checks who you are and what you have paid for, then opens the room: to watch, or to go on stage.</p>
      </div>
      {trouble && <ErrorPanel trouble={trouble} wait={wait} onRetry={onJoin} onDismiss={onDismiss} />}
      <form className="lobby-form" onSubmit={submit} noValidate>
        <div className="lobby-left">
          <CallerCards callers={config.callers} fields={fields} onChange={onChange} />
          <p className="rights" aria-live="polite" id="rights">
            {rights(fields.caller, chosen)}
          </p>
          <div className="pair">
            <label className="field">
              <span>Room</span>
              <input
                data-testid="room-input"
                name="room"
                value={fields.room}
                onChange={(event) => onChange({ room: event.target.value })}
                autoComplete="off"
                autoCapitalize="none"
                spellCheck={false}
                required
              />
            </label>
            <label className="field">
              <span>
                Display name <em>optional</em>
              </span>
              <input
                data-testid="name-input"
                name="name"
                value={fields.name}
                onChange={(event) => onChange({ name: event.target.value })}
                placeholder={chosen?.name ?? 'As the token says'}
                autoComplete="off"
              />
            </label>
          </div>
        </div>
        <div className="lobby-right">
          <PreviewBox preview={preview} watches={watches} name={fields.name || chosen?.name || ''} />
          <div className="join-row">
            <button className="button button-primary button-join" type="submit" data-testid="join-button" aria-describedby="rights" disabled={joining || wait > 0}>
              {joining ? 'Asking the door…' : wait > 0 ? `Again in ${wait} s` : label(fields.room, watches)}
            </button>
            {joining && (
              <button className="button" type="button" onClick={onCancel}>
                Cancel
              </button>
            )}
          </div>
        </div>
      </form>
    </main>
  );
}

function label(room: string, watches: boolean): string {
  const name = room.trim();
  if (!name || name.length > 24) return watches ? 'Join and watch' : 'Join';
  return watches ? `Watch ${name}` : `Join ${name}`;
}

function rights(id: string, chosen: Caller | undefined): string {
  if (id === CUSTOM) return 'The door decides when it has seen the token.';
  if (!chosen) return '';
  const who = chosen.name + planWords(chosen.status ?? (chosen.pays ? 'active' : 'none')).standing;
  return chosen.pays
    ? `${who}: sees and hears everybody, and may turn on camera, microphone and screen.`
    : `${who}: sees and hears everybody, but stays in the audience.`;
}
