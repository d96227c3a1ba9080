// LiveKit's RoomService, asked with any token: the operator's, to know how
// things are, and the participants', to see them refused.
import { SignJWT } from 'jose';
import { post } from './door.js';

/** A token of whoever holds LiveKit's own key: may do everything in one room. */
export function operatorToken(livekit, room) {
  return new SignJWT({ video: { room, roomAdmin: true, roomCreate: true, roomList: true } })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(livekit.key)
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(livekit.secret));
}

export function roomService(livekit, token, method, body) {
  return post(`${livekit.api}/twirp/livekit.RoomService/${method}`, token, body);
}

/** What the server reports of everybody in a room. */
export async function participants(livekit, room) {
  const answer = await roomService(livekit, await operatorToken(livekit, room), 'ListParticipants', { room });
  if (answer.status !== 200) throw new Error(`ListParticipants: ${answer.status} ${answer.text}`);
  return (answer.body.participants ?? []).map((who) => ({
    identity: who.identity,
    canPublish: who.permission.can_publish,
    canPublishData: who.permission.can_publish_data,
    tracks: (who.tracks ?? []).map((track) => track.source),
  }));
}

/** Every method of RoomService with a body that the operator could send. */
export const METHODS = {
  CreateRoom: (room) => ({ name: `${room}-new`, empty_timeout: 1 }),
  ListRooms: () => ({}),
  DeleteRoom: (room) => ({ room }),
  ListParticipants: (room) => ({ room }),
  GetParticipant: (room, identity) => ({ room, identity }),
  RemoveParticipant: (room, identity) => ({ room, identity }),
  MutePublishedTrack: (room, identity, track) => ({ room, identity, track_sid: track, muted: true }),
  UpdateParticipant: (room, identity) => ({ room, identity, permission: { can_subscribe: true, can_publish: true, can_publish_data: true } }),
  UpdateSubscriptions: (room, identity, track) => ({ room, identity, track_sids: [track], subscribe: true }),
  SendData: (room) => ({ room, data: Buffer.from('hello').toString('base64'), kind: 'RELIABLE' }),
  UpdateRoomMetadata: (room) => ({ room, metadata: 'changed' }),
  ForwardParticipant: (room, identity) => ({ room, identity, destination_room: `${room}-2` }),
  MoveParticipant: (room, identity) => ({ room, identity, destination_room: `${room}-2` }),
  PerformRpc: (room, identity) => ({ room, destination_identity: identity, method: 'm', payload: 'p', response_timeout_ms: 1000 }),
};
