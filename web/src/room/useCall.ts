import { useEffect, useRef, useState } from 'react';
import { LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, Track, type DisconnectReason } from 'livekit-client';
import type { JoinDetails } from 'livekit-join';
import { stopAll, type Brought } from '../lib/media';
import type { Problem } from '../lib/problem';
import { currentRights } from './rights';
import { connectProblem, disconnectProblem } from './troubles';

/** Connects once, publishes what was brought along, and reports how the call ended. */
export function useCall(details: JoinDetails, brought: Brought, onEnd: (why: Problem | null) => void, onStatus: (words: string) => void) {
  const [room] = useState(
    () =>
      new Room({
        adaptiveStream: true,
        dynacast: true,
        videoCaptureDefaults: { deviceId: brought.camera?.getSettings().deviceId },
        audioCaptureDefaults: { deviceId: brought.microphone?.getSettings().deviceId },
      }),
  );
  const report = useRef({ onEnd, onStatus });
  report.current = { onEnd, onStatus };

  useEffect(() => {
    let over = false;
    const end = (why: Problem | null) => {
      if (over) return;
      over = true;
      stopAll(brought);
      report.current.onEnd(why);
    };
    const say = (words: string) => report.current.onStatus(words);
    let connected = false;
    room
      // While connecting, the rejection of connect() says more.
      .on(RoomEvent.Disconnected, (reason?: DisconnectReason) => connected && end(disconnectProblem(reason)))
      .on(RoomEvent.Reconnecting, () => say('The connection is bad. Reconnecting…'))
      .on(RoomEvent.Reconnected, () => say('Connected again.'))
      .on(RoomEvent.ParticipantConnected, (who) => say(`${who.name || who.identity} came in.`))
      .on(RoomEvent.ParticipantDisconnected, (who) => say(`${who.name || who.identity} left.`));

    room.connect(details.serverUrl, details.participantToken).then(
      async () => {
        if (over) return;
        connected = true;
        await publishBrought(room, brought).catch(() => say('Your camera or microphone could not be published. Turn it on again below.'));
      },
      (error: unknown) => end(connectProblem(error)),
    );
    return () => {
      over = true;
      stopAll(brought);
      void room.disconnect();
      room.removeAllListeners();
    };
  }, [room, details, brought]);

  return room;
}

async function publishBrought(room: Room, brought: Brought): Promise<void> {
  const { sources } = currentRights(room);
  const { camera, microphone } = brought;
  if (camera && !sources.has('camera')) camera.stop();
  if (microphone && !sources.has('microphone')) microphone.stop();
  const open: Promise<unknown>[] = [];
  // Not "user provided" in LiveKit's sense: muting shall turn the camera's light
  // off, and unmuting shall open it anew.
  if (camera && sources.has('camera') && camera.readyState === 'live') {
    const track = new LocalVideoTrack(camera, camera.getConstraints(), false);
    open.push(room.localParticipant.publishTrack(track, { source: Track.Source.Camera }));
  }
  if (microphone && sources.has('microphone') && microphone.readyState === 'live') {
    const track = new LocalAudioTrack(microphone, microphone.getConstraints(), false);
    open.push(room.localParticipant.publishTrack(track, { source: Track.Source.Microphone }));
  }
  const failed = (await Promise.allSettled(open)).some((each) => each.status === 'rejected');
  if (failed) throw new Error('not everything was published');
}
