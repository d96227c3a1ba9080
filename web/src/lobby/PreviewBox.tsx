import { useEffect, useRef } from 'react';
import { Icon } from '../Icon';
import type { Kind } from '../lib/media';
import type { Device, Preview } from '../lib/usePreview';

interface Props {
  preview: Preview;
  /** The chosen caller comes to watch. */
  watches: boolean;
  name: string;
}

export function PreviewBox({ preview, watches, name }: Props) {
  const { camera, microphone } = preview;
  const video = useRef<HTMLVideoElement>(null);

  useEffect(() => {
    if (video.current) video.current.srcObject = camera.track ? new MediaStream([camera.track]) : null;
  }, [camera.track]);

  const errors = [camera.error, microphone.error].filter(Boolean);
  return (
    <section className="preview" aria-labelledby="preview-title">
      <h2 id="preview-title" className="sr-only">
        Your camera and microphone
      </h2>
      <div className="mirror" data-on={Boolean(camera.track)}>
        {camera.track ? (
          <video ref={video} data-testid="preview-video" autoPlay playsInline muted aria-label="Your camera, as others will see it, mirrored" />
        ) : (
          <div className="mirror-empty">
            <span className="avatar avatar-large" aria-hidden="true">
              {name.slice(0, 1) || '?'}
            </span>
            <p>{camera.starting ? 'Waiting for your camera…' : watches ? 'No camera needed to watch' : 'Your camera is off'}</p>
          </div>
        )}
        <div className="mirror-controls">
          <Toggle kind="microphone" testid="preview-toggle-mic" device={microphone} preview={preview} />
          <Toggle kind="camera" testid="preview-toggle-camera" device={camera} preview={preview} />
        </div>
      </div>
      {errors.length > 0 && (
        <div className="device-errors" role="alert">
          {errors.map((words) => (
            <p key={words}>{words}</p>
          ))}
        </div>
      )}
      <div className="device-picks">
        <Pick kind="microphone" device={microphone} preview={preview} />
        <Pick kind="camera" device={camera} preview={preview} />
      </div>
      <p className="hint">
        {watches
          ? 'You’ll watch: nothing of this preview is sent.'
          : camera.track || microphone.track
            ? 'Only you see this. What is on here goes on stage with you.'
            : 'Only you would see this. You can join without, and turn them on later.'}
      </p>
    </section>
  );
}

function Toggle({ kind, testid, device, preview }: { kind: Kind; testid: string; device: Device; preview: Preview }) {
  const on = Boolean(device.track);
  return (
    <button type="button" className="round" data-testid={testid} data-on={on} data-busy={Boolean(device.starting)} aria-pressed={on} onClick={() => preview.toggle(kind)}>
      <Icon name={kind === 'camera' ? 'camera' : 'mic'} off={!on} />
      <span className="sr-only">{kind === 'camera' ? 'Camera' : 'Microphone'}</span>
    </button>
  );
}

function Pick({ kind, device, preview }: { kind: Kind; device: Device; preview: Preview }) {
  const kindName = kind === 'camera' ? 'videoinput' : 'audioinput';
  const choices = preview.devices.filter((each) => each.kind === kindName && each.deviceId);
  if (!device.track || choices.length < 2) return null;
  return (
    <label className="pick">
      <span className="sr-only">{kind === 'camera' ? 'Camera' : 'Microphone'}</span>
      <Icon name={kind === 'camera' ? 'camera' : 'mic'} />
      <select value={device.track.getSettings().deviceId} onChange={(event) => preview.choose(kind, event.target.value)}>
        {choices.map((each) => (
          <option key={each.deviceId} value={each.deviceId}>
            {each.label || each.deviceId.slice(0, 8)}
          </option>
        ))}
      </select>
    </label>
  );
}
