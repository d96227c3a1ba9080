import { useState } from 'react';
import { useLocalParticipant } from '@livekit/components-react';
import { ConnectionState, type Room } from 'livekit-client';
import { Icon, type IconName } from '../Icon';
import { deviceWords } from '../lib/media';
import type { Rights, Source } from './rights';
import { REASON_ID } from './WatchBanner';

interface Props {
  room: Room;
  rights: Rights;
  onLeave(): void;
  onStatus(words: string): void;
}

/** The id of the camera's switch. */
export const CAMERA_ID = 'camera-control';

const canShareScreens = 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices;

export function Controls({ room, rights, onLeave, onStatus }: Props) {
  const { localParticipant, isMicrophoneEnabled, isCameraEnabled, isScreenShareEnabled } = useLocalParticipant({ room });
  const [busy, setBusy] = useState<Source | null>(null);
  const [trouble, setTrouble] = useState('');

  async function turn(source: Source, doing: () => Promise<unknown>) {
    setBusy(source);
    setTrouble('');
    try {
      await doing();
    } catch (error) {
      // Closing the browser's own picker is a choice, not a failure.
      if (source === 'screen_share') setTrouble((error as Error).name === 'NotAllowedError' ? '' : 'The screen could not be shared.');
      else setTrouble(deviceWords(source === 'camera' ? 'camera' : 'microphone', error));
    } finally {
      setBusy(null);
    }
  }

  const shared = { rights, busy, connected: room.state === ConnectionState.Connected, onRefused: onStatus };
  return (
    <footer className="controls" aria-label="Call controls" role="toolbar">
      {trouble && (
        <p className="controls-trouble" role="alert">
          {trouble}
        </p>
      )}
      <Control
        {...shared}
        source="microphone"
        icon="mic"
        name="Microphone"
        testid="control-mic"
        on={isMicrophoneEnabled}
        onClick={() => turn('microphone', () => localParticipant.setMicrophoneEnabled(!isMicrophoneEnabled))}
      />
      <Control
        {...shared}
        id={CAMERA_ID}
        source="camera"
        icon="camera"
        name="Camera"
        testid="control-camera"
        on={isCameraEnabled}
        onClick={() => turn('camera', () => localParticipant.setCameraEnabled(!isCameraEnabled))}
      />
      {canShareScreens && (
        <Control
          {...shared}
          source="screen_share"
          icon="screen"
          name="Screen"
          testid="control-screen"
          on={isScreenShareEnabled}
          onClick={() =>
            turn('screen_share', () => localParticipant.setScreenShareEnabled(!isScreenShareEnabled, { audio: rights.sources.has('screen_share_audio') }))
          }
        />
      )}
      <button type="button" className="control control-leave" data-testid="leave-button" onClick={onLeave}>
        <Icon name="leave" />
        <span className="control-name">Leave</span>
      </button>
    </footer>
  );
}

interface ControlProps {
  rights: Rights;
  busy: Source | null;
  connected: boolean;
  onRefused(words: string): void;
  id?: string;
  source: Source;
  icon: IconName;
  name: string;
  testid: string;
  on: boolean;
  onClick(): void;
}

/**
 * One switch. Where it is not allowed it stays focusable (aria-disabled), so
 * that a keyboard reaches it and hears the reason.
 */
function Control({ rights, busy, connected, onRefused, id, source, icon, name, testid, on, onClick }: ControlProps) {
  const allowed = rights.sources.has(source);
  const usable = allowed && connected && busy !== source;
  const ownReason = `${testid}-reason`;
  const reason = allowed ? undefined : rights.canPublish ? ownReason : REASON_ID;
  return (
    <>
      <button
        type="button"
        id={id}
        className="control"
        data-testid={testid}
        data-on={on}
        data-busy={busy === source}
        aria-pressed={on}
        aria-disabled={!usable}
        aria-describedby={reason}
        title={allowed ? undefined : 'Not open to you in this room'}
        onClick={() => {
          if (usable) onClick();
          else if (!allowed) onRefused(`${name}: not open to you. ${document.getElementById(reason ?? '')?.textContent ?? ''}`);
        }}
      >
        <Icon name={icon} off={source === 'screen_share' ? !allowed : !on} />
        <span className="control-name">{name}</span>
      </button>
      {reason === ownReason && (
        <span id={ownReason} hidden>
          This room’s rules do not open the {name.toLowerCase()} to you.
        </span>
      )}
    </>
  );
}
