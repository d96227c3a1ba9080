// The visitor's own camera and microphone, before any call.

export type Kind = 'camera' | 'microphone';

/** What the visitor brings along into the room: open tracks, or nothing. */
export interface Brought {
  camera?: MediaStreamTrack;
  microphone?: MediaStreamTrack;
}

export function stopAll(brought: Brought): void {
  brought.camera?.stop();
  brought.microphone?.stop();
}

/** Opens one device. `deviceId` is a wish: another one is taken where that is gone. */
export async function openDevice(kind: Kind, deviceId?: string): Promise<MediaStreamTrack> {
  // Missing on plain http, but on localhost.
  if (!navigator.mediaDevices) throw new DOMException('no mediaDevices', 'SecurityError');
  const wish = deviceId ? { deviceId: { ideal: deviceId } } : {};
  const stream = await navigator.mediaDevices.getUserMedia(
    kind === 'camera'
      ? { video: { width: { ideal: 1280 }, height: { ideal: 720 }, ...wish } }
      : { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...wish } },
  );
  const track = stream.getTracks()[0];
  if (!track) throw new DOMException('no track', 'NotFoundError');
  return track;
}

/** Whether the browser would open the device without asking. Unknown counts as no. */
export async function isGranted(kind: Kind): Promise<boolean> {
  try {
    const status = await navigator.permissions.query({ name: kind as PermissionName });
    return status.state === 'granted';
  } catch {
    return false;
  }
}

/** Why a device did not open, in words. */
export function deviceWords(kind: Kind, error: unknown): string {
  switch ((error as { name?: string } | null)?.name) {
    case 'NotAllowedError':
      return `Your browser blocks the ${kind} for this page. Allow it beside the address, then turn it on again.`;
    case 'NotFoundError':
    case 'OverconstrainedError':
      return `No ${kind} was found. Plug one in, or join without.`;
    case 'NotReadableError':
    case 'AbortError':
      return `The ${kind} is there but does not start. Another program may be using it.`;
    case 'SecurityError':
      return `The browser opens a ${kind} only on https pages and on localhost.`;
    default:
      return `The ${kind} did not start.`;
  }
}
