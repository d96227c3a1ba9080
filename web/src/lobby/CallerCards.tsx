import { useState } from 'react';
import { Icon } from '../Icon';
import { CUSTOM, slug, type Caller } from '../lib/config';
import type { Fields } from './fields';

interface Props {
  callers: Caller[];
  fields: Fields;
  onChange(next: Partial<Fields>): void;
}

/** A real radio group, so that arrow keys and screen readers know it already. */
export function CallerCards({ callers, fields, onChange }: Props) {
  const [shown, setShown] = useState(false);
  return (
    <fieldset className="callers">
      <legend>Join as</legend>
      <div className="cards">
        {callers.map((caller) => (
          <label key={caller.id} className="card" data-testid={`caller-${slug(caller)}`}>
            <input
              type="radio"
              name="caller"
              value={caller.id}
              checked={fields.caller === caller.id}
              onChange={() => onChange({ caller: caller.id })}
              aria-describedby={`about-${slug(caller)}`}
            />
            <span className="avatar" data-pays={caller.pays} aria-hidden="true">
              {caller.name.slice(0, 1)}
            </span>
            <span className="card-text">
              <span className="card-name">{caller.name}</span>
              <span className="card-about" id={`about-${slug(caller)}`}>
                {caller.about}
              </span>
            </span>
            <span className="card-plan" data-pays={caller.pays} aria-hidden="true">
              {caller.pays ? 'On stage' : 'Watches'}
            </span>
          </label>
        ))}
        <label className="card" data-testid="caller-custom">
          <input type="radio" name="caller" value={CUSTOM} checked={fields.caller === CUSTOM} onChange={() => onChange({ caller: CUSTOM })} aria-describedby="about-custom" />
          <span className="avatar" aria-hidden="true">
            <Icon name="key" />
          </span>
          <span className="card-text">
            <span className="card-name">Another token</span>
            <span className="card-about" id="about-custom">
              One that your own sign-in issued.
            </span>
          </span>
        </label>
      </div>
      {fields.caller === CUSTOM && (
        <div className="field custom">
          <label htmlFor="custom-token">Your caller’s token</label>
          <div className="with-button">
            <input
              id="custom-token"
              data-testid="custom-token"
              type={shown ? 'text' : 'password'}
              value={fields.token}
              onChange={(event) => onChange({ token: event.target.value })}
              placeholder="eyJ…"
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              aria-describedby="custom-hint"
            />
            <button type="button" className="button button-small" aria-pressed={shown} aria-controls="custom-token" onClick={() => setShown(!shown)}>
              {shown ? 'Hide' : 'Show'}
              <span className="sr-only"> the token</span>
            </button>
          </div>
          <small id="custom-hint">It goes to this door alone, and is forgotten when you close the page.</small>
        </div>
      )}
    </fieldset>
  );
}
