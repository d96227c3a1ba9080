import { useEffect, useRef, useState } from 'react';
import { useLocalParticipant } from '@livekit/components-react';
import type { Room } from 'livekit-client';
import { Icon } from '../Icon';
import { CAMERA_ID } from './Controls';
import type { Rights } from './rights';

/** How long the cue stays where nobody takes it. */
const STAYS_MS = 20_000;

/** Says that the stage has opened during the call, and offers the first step onto it. */
export function StageCue({ room, rights }: { room: Room; rights: Rights }) {
  const { isCameraEnabled } = useLocalParticipant({ room });
  const [shown, setShown] = useState(false);
  const before = useRef(rights.canPublish);

  useEffect(() => {
    if (before.current === rights.canPublish) return;
    before.current = rights.canPublish;
    setShown(rights.canPublish);
  }, [rights.canPublish]);
  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => setShown(false), STAYS_MS);
    return () => clearTimeout(timer);
  }, [shown]);

  if (!shown || isCameraEnabled || !rights.sources.has('camera')) return null;

  // The control itself is pressed: it shows that the camera is starting, says
  // why it does not, and keeps the focus when the cue is gone.
  const turnOn = () => {
    setShown(false);
    const control = document.getElementById(CAMERA_ID);
    control?.focus();
    control?.click();
  };
  return (
    <div className="cue" data-testid="stage-open-cue">
      <span className="cue-lamp" aria-hidden="true" />
      <span>The stage is open.</span>
      <button type="button" className="button button-primary button-small" onClick={turnOn}>
        <Icon name="camera" /> Turn on your camera
      </button>
    </div>
  );
}
