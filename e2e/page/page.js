// A customer's page on an origin of its own: livekit-client, and nothing of the
// demo room. What tests call is on window.customer.
import * as LiveKit from '/livekit-client.mjs';

const { DisconnectReason, Room, RoomEvent, TokenSource, createLocalVideoTrack } = LiveKit;
const state = { room: null, seen: [], data: [], details: null, log: [] };

/** The details of a room, asked for in one of the two standard ways. */
async function details(way, door, token, options) {
  if (way === 'endpoint') {
    return TokenSource.endpoint(`${door}/api/token`, { headers: { Authorization: `Bearer ${token}` } }).fetch(options);
  }
  const { livekitJoin } = await import(`${door}/livekit-join.js`);
  return TokenSource.custom(livekitJoin(`${door}/api/join`, { getAuthToken: async () => token })).fetch(options);
}

/** Notes what happens, and when by this machine's clock. */
function note(what, more) {
  state.log.push({ what, at: Date.now(), ...more });
}

/** What a participant may publish, by the names of a token; none listed means all. */
function sourcesOf(who) {
  const names = [null, 'camera', 'microphone', 'screen_share', 'screen_share_audio'];
  return (who.permissions?.canPublishSources ?? []).map((source) => names[source]).sort().join(' ');
}

/** Notes everything that a change of rights brings about. */
function watch(room) {
  for (const name of ['Reconnecting', 'SignalReconnecting', 'Reconnected', 'MediaDevicesError']) room.on(RoomEvent[name], () => note(name));
  room
    .on(RoomEvent.ParticipantPermissionsChanged, (_, who) => who === room.localParticipant && note('permissions', { canPublish: who.permissions?.canPublish, sources: sourcesOf(who) }))
    .on(RoomEvent.LocalTrackPublished, () => note('published'))
    .on(RoomEvent.LocalTrackUnpublished, () => note('unpublished'))
    .on(RoomEvent.TrackUnpublished, (_, who) => note('ended', { who: who.identity }))
    .on(RoomEvent.Disconnected, (reason) => note('disconnected', { reason: DisconnectReason[reason] }));
}

/** Enters a room with what a token source gave, and notes every track that comes in. */
async function connect(given) {
  state.details = given;
  state.room = new Room();
  watch(state.room);
  const video = document.getElementById('remote');
  state.room
    .on(RoomEvent.TrackPublished, (publication, who) => state.seen.push({ who: who.identity, source: publication.source }))
    .on(RoomEvent.DataReceived, (bytes, who, kind, topic) => state.data.push({ who: who?.identity, text: new TextDecoder().decode(bytes), ...(topic && { topic, at: Date.now() }) }))
    .on(RoomEvent.TrackMuted, (_, who) => note('muted', { who: who.identity }))
    .on(RoomEvent.TrackSubscribed, (track) => track.kind === 'video' && track.attach(video));
  await state.room.connect(given.serverUrl, given.participantToken);
  note('connected');
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

/** Publishes a picture as if it came from another source; gives the error's words, or null. */
async function publishAs(source) {
  const me = state.room.localParticipant;
  me.hasPermissionsToPublish = () => true;
  const track = await createLocalVideoTrack();
  return refusal(() => me.publishTrack(track, { source, name: source }));
}

/** Waits for something that was noted after the first `after` notes; gives null when it does not come in time. */
async function noted(what, after, within) {
  for (const end = Date.now() + within; Date.now() < end; ) {
    const found = state.log.slice(after).find((each) => Object.entries(what).every(([name, value]) => each[name] === value));
    if (found) return found;
    await new Promise((done) => setTimeout(done, 5));
  }
  return null;
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
  publishAs,
  noted,
  leave: () => state.room.disconnect(),
  reconnect: () => state.room.simulateScenario('full-reconnect'),
  camera: () => state.room.localParticipant.setCameraEnabled(true).then((publication) => ({ sid: publication?.trackSid, source: publication?.source })),
  microphone: () => state.room.localParticipant.setMicrophoneEnabled(true).then((publication) => ({ sid: publication?.trackSid })),
  send: (text) => state.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }),
};
