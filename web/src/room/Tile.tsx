import { useState, type SyntheticEvent } from 'react';
import { VideoTrack, isTrackReference, useConnectionQualityIndicator, useIsMuted, useIsSpeaking, useTrackRefContext } from '@livekit/components-react';
import { ConnectionQuality, Track, type Participant } from 'livekit-client';
import { Icon } from '../Icon';
import { ModerateButtons } from './ModerateButtons';
import { nameOf } from './useModeration';

/** How much of a picture may be cut off for it to fill its tile. */
const MOST_CUT = 0.2;

/** Whether the picture fills the tile, or is shown whole with a margin. */
function useFit(tile: { width: number; height: number }) {
  const [ratio, setRatio] = useState(0);
  const measure = ({ currentTarget: video }: SyntheticEvent<HTMLVideoElement>) => setRatio(video.videoWidth / video.videoHeight || 0);
  const change = (ratio * tile.height) / tile.width;
  const cut = 1 - Math.min(change, 1 / change);
  return { fit: cut <= MOST_CUT ? 'cover' : 'contain', measure };
}

/** A camera, a screen, or the name of somebody on stage who shows neither. */
export function StageTile({ size }: { size: { width: number; height: number } }) {
  const track = useTrackRefContext();
  const who = track.participant;
  const speaking = useIsSpeaking(who);
  const micOff = useIsMuted({ participant: who, source: Track.Source.Microphone });
  const videoOff = useIsMuted(track);
  const { quality } = useConnectionQualityIndicator({ participant: who });
  const screen = track.source === Track.Source.ScreenShare;
  const showsVideo = isTrackReference(track) && !videoOff;
  const { fit, measure } = useFit(size);
  const name = nameOf(who);
  const poor = quality === ConnectionQuality.Poor || quality === ConnectionQuality.Lost;

  return (
    <article
      className="tile"
      style={size}
      data-testid="tile"
      data-identity={who.identity}
      data-source={track.source}
      data-local={who.isLocal}
      data-speaking={speaking && !screen}
      aria-label={screen ? `${name}’s screen` : name}
    >
      {showsVideo ? (
        <VideoTrack trackRef={track} className="video" data-fit={screen ? 'contain' : fit} onLoadedMetadata={measure} onResize={measure} />
      ) : (
        <span className="avatar avatar-large" aria-hidden="true">
          {name.slice(0, 1)}
        </span>
      )}
      <span className="nameplate">
        {!screen && micOff && <Icon name="mic" off />}
        <span className="nameplate-name">
          {screen ? `${name}’s screen` : name}
          {who.isLocal && !screen && ' (you)'}
        </span>
        {!screen && micOff && <span className="sr-only">, microphone off</span>}
      </span>
      {poor && <span className="tile-flag">Bad connection</span>}
      {!screen && <ModerateButtons who={who} stage />}
    </article>
  );
}

export function AudienceTile({ who }: { who: Participant }) {
  const name = nameOf(who);
  return (
    <li className="seat" data-testid="tile" data-identity={who.identity} data-local={who.isLocal}>
      <span className="avatar avatar-small" aria-hidden="true">
        {name.slice(0, 1)}
      </span>
      <span className="seat-name">
        {name}
        {who.isLocal && ' (you)'}
      </span>
      <ModerateButtons who={who} />
    </li>
  );
}
