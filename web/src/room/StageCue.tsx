import { useEffect, useRef, useState } from 'react';
import { useLocalParticipant } from '@livekit/components-react';
import type { Room } from 'livekit-client';
import { Icon } from '../Icon';
import type { Rights } from './rights';

/** How long the cue stays where nobody takes it. */
const STAYS = 20_000;

/** Says that the stage has opened during the call, and offers the first step onto it. */
export function StageCue({ room, rights }: { room: Room; rights: Rights }) {
  const { localParticipant, isCameraEnabled } = useLocalParticipant({ room });
  const [shown, setShown] = useState(false);
  const before = useRef(rights.canPublish);

  useEffect(() => {
    if (before.current === rights.canPublish) return;
    before.current = rights.canPublish;
    setShown(rights.canPublish);
  }, [rights.canPublish]);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => setShown(false), STAYS);
    return () => clearTimeout(timer);
  }, [shown]);

  if (!shown || isCameraEnabled || !rights.sources.has('camera')) return null;
  return (
    <div className="cue" data-testid="stage-open-cue">
      <span className="cue-lamp" aria-hidden="true" />
      <span>The stage is open.</span>
      <button
        type="button"
        className="button button-primary button-small"
        onClick={() => {
          setShown(false);
          void localParticipant.setCameraEnabled(true).catch(() => {});
        }}
      >
        <Icon name="camera" /> Turn on your camera
      </button>
    </div>
  );
}
