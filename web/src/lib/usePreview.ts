import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { deviceWords, isGranted, openDevice, stopAll, type Brought, type Kind } from './media';

export interface Device {
  track?: MediaStreamTrack;
  starting?: boolean;
  error?: string;
}

export interface Preview {
  camera: Device;
  microphone: Device;
  devices: MediaDeviceInfo[];
  toggle(kind: Kind): void;
  choose(kind: Kind, deviceId: string): void;
  /** Opens what the browser already allows, once. */
  openGranted(): void;
  /** Hands the open tracks over to the call; the preview is off afterwards. */
  take(): Brought;
  stop(): void;
}

/** Camera and microphone of the lobby. A device is only opened when asked for. */
export function usePreview(): Preview {
  const [camera, setCamera] = useState<Device>({});
  const [microphone, setMicrophone] = useState<Device>({});
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const open = useRef<Brought>({});
  const turn = useRef({ camera: 0, microphone: 0 });
  const opened = useRef(false);

  const api = useMemo(() => {
    const set = { camera: setCamera, microphone: setMicrophone };

    function close(kind: Kind) {
      turn.current[kind]++;
      open.current[kind]?.stop();
      delete open.current[kind];
      set[kind]({});
    }

    async function start(kind: Kind, deviceId?: string) {
      close(kind);
      const mine = turn.current[kind];
      set[kind]({ starting: true });
      try {
        const track = await openDevice(kind, deviceId);
        // Turned off or changed while the browser was asking.
        if (mine !== turn.current[kind]) return track.stop();
        open.current[kind] = track;
        track.addEventListener('ended', () => {
          if (open.current[kind] !== track) return;
          close(kind);
          set[kind]({ error: `The ${kind} was unplugged or taken away.` });
        });
        set[kind]({ track });
        setDevices(await navigator.mediaDevices.enumerateDevices());
      } catch (error) {
        if (mine === turn.current[kind]) set[kind]({ error: deviceWords(kind, error) });
      }
    }

    async function openGranted() {
      if (opened.current) return;
      opened.current = true;
      for (const kind of ['camera', 'microphone'] as const) {
        if (turn.current[kind] === 0 && (await isGranted(kind))) void start(kind);
      }
    }

    return {
      openGranted: () => void openGranted(),
      choose: (kind: Kind, deviceId: string) => void start(kind, deviceId),
      close,
      start,
    };
  }, []);

  const toggle = useCallback(
    (kind: Kind) => {
      const device = kind === 'camera' ? camera : microphone;
      if (device.track || device.starting) api.close(kind);
      else void api.start(kind);
    },
    [api, camera, microphone],
  );

  const take = useCallback(() => {
    const brought = open.current;
    open.current = {};
    api.close('camera');
    api.close('microphone');
    return brought;
  }, [api]);

  const stop = useCallback(() => stopAll(take()), [take]);

  useEffect(() => stop, [stop]);

  return { camera, microphone, devices, toggle, choose: api.choose, openGranted: api.openGranted, take, stop };
}
