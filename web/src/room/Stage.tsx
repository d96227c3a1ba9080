import { useParticipants, useTracks } from '@livekit/components-react';
import { RoomEvent, Track, type Participant, type Room } from 'livekit-client';
import { mayPublish } from './rights';
import { EmptyStage, Invitation, type Invite } from './EmptyStage';
import { AudienceTile } from './Tile';
import { Tiles } from './Tiles';

interface Props {
  room: Room;
  canPublish: boolean;
  invite?: Invite;
}

/** Until LiveKit has answered, the visitor has no identity and stands nowhere. */
const known = (who: Participant) => who.identity !== '';

/** Those who may publish are on stage, everybody else in the audience below. */
export function Stage({ room, canPublish, invite }: Props) {
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
  const onStage = tracks.filter(
    ({ publication, participant }) => known(participant) && (publication || (participant.isLocal ? canPublish : mayPublish(participant))),
  );
  const screens = onStage.filter(isScreen);
  const faces = onStage.filter((track) => !isScreen(track));
  const audience = people.filter((who) => !onStage.some((track) => track.participant.identity === who.identity));
  const alone = people.length === 1;

  return (
    <>
      <section className="stage" aria-label="On stage" data-screens={screens.length > 0}>
        {onStage.length === 0 && <EmptyStage open={people.length > 0} invite={alone ? invite : undefined} />}
        {screens.length > 0 && <Tiles tracks={screens} place="screens" />}
        {faces.length > 0 && <Tiles tracks={faces} place={screens.length > 0 ? 'side' : 'main'} />}
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
        {alone && onStage.length > 0 && invite && (
          <p className="alone">
            Nobody else is here yet. <Invitation {...invite} />
          </p>
        )}
      </section>
    </>
  );
}
