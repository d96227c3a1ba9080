import { useRef } from 'react';
import { TrackRefContext, useParticipants, useTracks } from '@livekit/components-react';
import { RoomEvent, Track, type Participant, type Room } from 'livekit-client';
import { mayPublish } from './rights';
import { AudienceTile, StageTile } from './Tile';
import { useTileSize } from './useTileSize';

interface Props {
  room: Room;
  canPublish: boolean;
  inviteLink?: string;
  inviteName?: string;
}

/** Until LiveKit has answered, the visitor has no identity and stands nowhere. */
const known = (who: Participant) => who.identity !== '';

/** Those who may publish are on stage, everybody else in the audience below. */
export function Stage({ room, canPublish, inviteLink, inviteName }: Props) {
  // The permission events are listed because a change moves somebody between the two.
  const people = useParticipants({ room }).filter(known);
  const tracks = useTracks(
    [
      { source: Track.Source.ScreenShare, withPlaceholder: false },
      { source: Track.Source.Camera, withPlaceholder: true },
    ],
    { room, onlySubscribed: false, updateOnlyOn: [RoomEvent.ParticipantPermissionsChanged, RoomEvent.ActiveSpeakersChanged] },
  );
  const isScreen = (track: (typeof tracks)[number]) => track.source === Track.Source.ScreenShare;
  const onStage = tracks
    .filter(({ publication, participant }) => known(participant) && (publication || (participant.isLocal ? canPublish : mayPublish(participant))))
    .sort((a, b) => Number(isScreen(b)) - Number(isScreen(a)));
  const audience = people.filter((who) => !onStage.some((track) => track.participant.identity === who.identity));
  const box = useRef<HTMLElement>(null);
  const size = useTileSize(box, onStage.length);

  return (
    <>
      <section className="stage" aria-label="On stage" ref={box}>
        {onStage.length > 0 ? (
          onStage.map((track) => (
            // Keyed by person and source, so that a tile stays itself when its camera goes on.
            <TrackRefContext.Provider key={`${track.participant.identity} ${track.source}`} value={track}>
              <StageTile size={size} />
            </TrackRefContext.Provider>
          ))
        ) : (
          <div className="stage-empty">
            <p className="stage-empty-title">{people.length > 0 ? 'The stage is empty' : 'The door opens…'}</p>
            <p>Whoever comes on is seen and heard here.</p>
          </div>
        )}
      </section>
      <section className="audience" aria-label="Audience">
        {audience.length > 0 && (
          <>
            <h2>
              Audience <span className="count">{audience.length}</span>
            </h2>
            <ul>
              {audience.map((who) => (
                <AudienceTile key={who.identity} who={who} />
              ))}
            </ul>
          </>
        )}
        {people.length === 1 && inviteLink && (
          <p className="alone">
            Nobody else is here yet.{' '}
            <a href={inviteLink} target="_blank" rel="noreferrer">
              {canPublish ? `Open ${inviteName} in another window to see the audience’s side` : `Open ${inviteName} in another window`}
            </a>
          </p>
        )}
      </section>
    </>
  );
}
