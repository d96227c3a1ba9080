// A customer's page on an origin of its own: livekit-client, and nothing of the
// demo room. What tests call is on window.customer.
import * as LiveKit from '/livekit-client.mjs';

const { Room, RoomEvent, TokenSource, createLocalVideoTrack } = LiveKit;
const state = { room: null, seen: [], data: [], details: null };

/** The details of a room, asked for in one of the two standard ways. */
async function details(way, door, token, options) {
  if (way === 'endpoint') {
    return TokenSource.endpoint(`${door}/api/token`, { headers: { Authorization: `Bearer ${token}` } }).fetch(options);
  }
  const { livekitJoin } = await import(`${door}/livekit-join.js`);
  return TokenSource.custom(livekitJoin(`${door}/api/join`, { getAuthToken: async () => token })).fetch(options);
}

/** Enters a room with what a token source gave, and notes every track that comes in. */
async function connect(given) {
  state.details = given;
  state.room = new Room();
  const video = document.getElementById('remote');
  state.room
    .on(RoomEvent.TrackPublished, (publication, who) => state.seen.push({ who: who.identity, source: publication.source }))
    .on(RoomEvent.DataReceived, (bytes, who) => state.data.push({ who: who?.identity, text: new TextDecoder().decode(bytes) }))
    .on(RoomEvent.TrackSubscribed, (track) => track.kind === 'video' && track.attach(video));
  await state.room.connect(given.serverUrl, given.participantToken);
  return own();
}

/** What LiveKit itself says this participant may do. */
function own() {
  const { identity, permissions } = state.room.localParticipant;
  return { identity, canPublish: permissions?.canPublish, canPublishData: permissions?.canPublishData, canSubscribe: permissions?.canSubscribe };
}

/** The others as this participant sees them. */
function others() {
  return [...state.room.remoteParticipants.values()].map((who) => ({
    identity: who.identity,
    canPublish: who.permissions?.canPublish,
    tracks: who.trackPublications.size,
  }));
}

/** Runs an attempt and gives its error's words instead of throwing. */
async function refusal(attempt) {
  try {
    await attempt();
  } catch (error) {
    return { name: error.name, message: error.message, code: error.code, status: error.status };
  }
  return null;
}

/**
 * Publishes past the client's own check, as a changed client would: only the
 * server is left to say no.
 */
async function publishPastTheClient() {
  const me = state.room.localParticipant;
  if (typeof me.hasPermissionsToPublish !== 'function') throw new Error('livekit-client has changed: its own check was not found');
  me.hasPermissionsToPublish = () => true;
  const track = await createLocalVideoTrack();
  return refusal(() => me.publishTrack(track));
}

window.customer = {
  LiveKit,
  state,
  details,
  connect,
  own,
  others,
  refusal,
  publishPastTheClient,
  camera: () => state.room.localParticipant.setCameraEnabled(true).then((publication) => ({ sid: publication?.trackSid, source: publication?.source })),
  send: (text) => state.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }),
};
