// With the real livekit-client: TokenSource.custom takes the helper as it is.
import test from 'node:test';
import assert from 'node:assert/strict';
import { TokenSource, TokenSourceConfigurable } from 'livekit-client';
import { livekitJoin, JoinError } from '../livekit-join.js';
import { JOINED, door, rejection } from '../testkit.js';

function livekitToken(seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'HS256' })}.${part({ sub: 'alice', nbf: now - 10, exp: now + seconds, video: { room: 'demo' } })}.c2ln`;
}

test('join protocol through TokenSource.custom, cached by LiveKit', async (t) => {
  const token = livekitToken(3600);
  const { url, requests } = await door(t, { body: { ...JOINED, token, publishDenied: 'policy' } });
  const source = TokenSource.custom(livekitJoin(url, { getAuthToken: () => 'caller' }));
  assert.ok(source instanceof TokenSourceConfigurable);
  const options = { roomName: 'demo', participantName: 'Alice' };
  const details = await source.fetch(options);
  assert.equal(details.serverUrl, JOINED.url);
  assert.equal(details.participantToken, token);
  await source.fetch(options);
  assert.equal(requests.length, 1);
  await source.fetch(options, true);
  assert.equal(requests.length, 2);
  assert.deepEqual(requests[0].body, { room: 'demo', username: 'Alice' });
});

test('token protocol through TokenSource.custom sends what TokenSource.endpoint sends', async (t) => {
  const { tokenUrl, requests } = await door(t, { status: 201, body: { server_url: 'wss://s', participant_token: livekitToken(600) } });
  const options = {
    roomName: 'demo',
    participantName: 'Alice',
    participantIdentity: 'alice',
    participantMetadata: 'm',
    participantAttributes: { a: 'b' },
    agentName: 'scribe',
    agentMetadata: 'am',
    deployment: 'blue',
  };
  await TokenSource.custom(livekitJoin(tokenUrl)).fetch(options);
  await TokenSource.endpoint(tokenUrl).fetch(options);
  assert.deepEqual(requests[0].body, requests[1].body);
});

test('a JoinError comes through LiveKit as it is', async (t) => {
  const { url } = await door(t, { status: 409, body: { error: 'already in the room', code: 'already_in_room', requestId: 'r1' } });
  const error = await rejection(TokenSource.custom(livekitJoin(url)).fetch({ roomName: 'demo' }));
  assert.ok(error instanceof JoinError);
  assert.deepEqual([error.status, error.code, error.requestId], [409, 'already_in_room', 'r1']);
});
