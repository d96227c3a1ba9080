import { useRef } from 'react';
import { TrackRefContext, type TrackReferenceOrPlaceholder } from '@livekit/components-react';
import { StageTile } from './Tile';
import { useTileSize } from './useTileSize';

interface Props {
  tracks: TrackReferenceOrPlaceholder[];
  /** Faces give way to a screen: they stand at its side. */
  place: 'main' | 'side' | 'screens';
}

/** One area of the stage, as full of tiles as it gets. */
export function Tiles({ tracks, place }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const size = useTileSize(box, tracks.length, place === 'side');
  return (
    <div className="tiles" data-place={place} ref={box}>
      {tracks.map((track) => (
        // Keyed by person and source, so that a tile stays itself when its camera goes on.
        <TrackRefContext.Provider key={`${track.participant.identity} ${track.source}`} value={track}>
          <StageTile size={size} />
        </TrackRefContext.Provider>
      ))}
    </div>
  );
}
