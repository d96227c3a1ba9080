import { useContext, useEffect, useReducer } from 'react';
import { ParticipantEvent, type Participant } from 'livekit-client';
import { Icon } from '../Icon';
import { ModerationContext, nameOf } from './useModeration';

const EVENTS = [ParticipantEvent.TrackPublished, ParticipantEvent.TrackUnpublished, ParticipantEvent.TrackMuted, ParticipantEvent.TrackUnmuted] as const;

/** Whether somebody sends sound that is not muted, followed as that changes. */
function useIsAudible(who: Participant): boolean {
  const [, changed] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    for (const event of EVENTS) who.on(event, changed);
    return () => {
      for (const event of EVENTS) who.off(event, changed);
    };
  }, [who]);
  return [...who.audioTrackPublications.values()].some((each) => !each.isMuted);
}

/** Mute and Remove, for a moderator, on somebody else's place. In the audience there is nothing to mute. */
export function ModerateButtons({ who, stage }: { who: Participant; stage?: boolean }) {
  const moderation = useContext(ModerationContext);
  const audible = useIsAudible(who);
  if (!moderation || who.isLocal) return null;
  const name = nameOf(who);
  const silent = `${who.identity}-silent`;
  return (
    <span className="moderate" role="group" aria-label={`Moderate ${name}`}>
      {(stage || audible) && (
        <>
          <button
            type="button"
            className="moderate-button"
            data-testid={`mute-${who.identity}`}
            aria-label={`Mute ${name}`}
            aria-disabled={!audible}
            aria-describedby={audible ? undefined : silent}
            title={audible ? `Mute ${name}` : `${name} is silent already`}
            onClick={() => audible && moderation.mute(who)}
          >
            <Icon name="mic" off />
            <span className="moderate-word">Mute</span>
          </button>
          {!audible && (
            <span id={silent} hidden>
              {name} is silent already.
            </span>
          )}
        </>
      )}
      <button
        type="button"
        className="moderate-button moderate-remove"
        data-testid={`remove-${who.identity}`}
        aria-label={`Remove ${name}`}
        title={`Remove ${name}`}
        onClick={() => moderation.remove(who)}
      >
        <Icon name="remove" />
        <span className="moderate-word">Remove</span>
      </button>
    </span>
  );
}
