import { useEffect, useRef, useState } from 'react';
import { useLocalParticipant } from '@livekit/components-react';
import { ConnectionState, ParticipantEvent, Track, type LocalParticipant, type Room, type TrackPublication } from 'livekit-client';
import { Icon, type IconName } from '../Icon';
import { deviceWords } from '../lib/media';
import type { Rights, Source } from './rights';
import { REASON_ID } from './WatchBanner';

interface Props {
  room: Room;
  rights: Rights;
  onLeave(): void;
  onStatus(words: string): void;
  /** Something the visitor should see and may put away; null when it no longer matters. */
  onNotice(words: string | null): void;
}

/** The id of the camera's switch. */
export const CAMERA_ID = 'camera-control';

const canShareScreens = 'mediaDevices' in navigator && 'getDisplayMedia' in navigator.mediaDevices;

export function Controls({ room, rights, onLeave, onStatus, onNotice }: Props) {
  const { localParticipant, isMicrophoneEnabled, isCameraEnabled, isScreenShareEnabled } = useLocalParticipant({ room });
  const [busy, setBusy] = useState<Source | null>(null);
  const [trouble, setTrouble] = useState('');

  const own = useMutedByOthers(localParticipant, () => onNotice('A moderator turned your microphone off. You can turn it on again.'));

  async function turn(source: Source, doing: () => Promise<unknown>) {
    own.current = true;
    setBusy(source);
    setTrouble('');
    if (source === 'microphone') onNotice(null);
    try {
      await doing();
    } catch (error) {
      // Closing the browser's own picker is a choice, not a failure.
      if (source === 'screen_share') setTrouble((error as Error).name === 'NotAllowedError' ? '' : 'The screen could not be shared.');
      else setTrouble(deviceWords(source === 'camera' ? 'camera' : 'microphone', error));
    } finally {
      own.current = false;
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

/**
 * Tells when the microphone is muted by somebody else. The ref it gives is to
 * be true while the visitor presses a switch: LiveKit reports both alike.
 */
function useMutedByOthers(local: LocalParticipant, onMuted: () => void) {
  const own = useRef(false);
  const tell = useRef(onMuted);
  tell.current = onMuted;
  useEffect(() => {
    const muted = ({ source }: TrackPublication) => {
      // Without the right to publish, everything ends, and the banner says why.
      if (source === Track.Source.Microphone && !own.current && local.permissions?.canPublish) tell.current();
    };
    local.on(ParticipantEvent.TrackMuted, muted);
    return () => void local.off(ParticipantEvent.TrackMuted, muted);
  }, [local]);
  return own;
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
