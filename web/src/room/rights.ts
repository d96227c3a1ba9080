import { useEffect, useReducer } from 'react';
import { ConnectionState, RoomEvent, type Participant, type Room } from 'livekit-client';
import type { JoinDetails } from 'livekit-join';

export type Source = 'camera' | 'microphone' | 'screen_share' | 'screen_share_audio';

export interface Rights {
  canPublish: boolean;
  sources: ReadonlySet<Source>;
}

// The numbers of LiveKit's TrackSource, which livekit-client does not export.
const SOURCES: Record<number, Source> = { 1: 'camera', 2: 'microphone', 3: 'screen_share', 4: 'screen_share_audio' };

/** What LiveKit lets this participant do at this moment: nothing until it is known. */
export function currentRights(room: Room): Rights {
  const permissions = room.localParticipant.permissions;
  if (!permissions?.canPublish) return { canPublish: false, sources: new Set() };
  const named = permissions.canPublishSources.map((number) => SOURCES[number]).filter((source) => source !== undefined);
  // LiveKit: no list means no limit.
  return { canPublish: true, sources: new Set(named.length > 0 ? named : Object.values(SOURCES)) };
}

/** Whether somebody belongs on stage: may publish, as far as is known. */
export function mayPublish(who: Participant): boolean {
  return who.permissions?.canPublish ?? true;
}

/**
 * The rights of the moment. LiveKit's word counts once connected, since it
 * changes during the call; until then what the door said.
 */
export function useRights(room: Room, details: JoinDetails): Rights {
  const [, changed] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const events = [RoomEvent.Connected, RoomEvent.ParticipantPermissionsChanged, RoomEvent.ConnectionStateChanged] as const;
    for (const event of events) room.on(event, changed);
    return () => {
      for (const event of events) room.off(event, changed);
    };
  }, [room]);
  if (room.state === ConnectionState.Disconnected || room.state === ConnectionState.Connecting) {
    const { canPublish = false, canPublishSources = [] } = details.permissions ?? {};
    return { canPublish, sources: new Set(canPublishSources) };
  }
  return currentRights(room);
}
