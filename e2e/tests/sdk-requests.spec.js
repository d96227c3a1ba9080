// The requests that LiveKit's SDKs for other platforms are known to send to a
// token endpoint, byte for byte. What they can read is the answer in snake_case.
import { decodeJwt } from 'jose';
import { post } from '../lib/door.js';
import { expect, test } from '../lib/test.js';

const JSON_TYPE = 'application/json';

// Sources: client-sdk-swift 2.16.0 EndpointTokenSource.swift, client-sdk-android 2.27.0 EndpointTokenSource.kt,
// client-sdk-flutter 2.11.0 endpoint.dart, client-sdk-unity TokenSource.cs, client-sdk-cpp token_source_http.cpp.
const REQUESTS = [
  ['Swift', '{"room_name":"R","participant_name":"Ann","room_config":{}}', 'application/json,application/json'],
  ['Android', '{"room_name":"R","participant_name":"Ann","room_config":{}}', 'application/json; charset=utf-8'],
  ['Flutter', '{"room_name":"R","participant_name":"Ann","room_config":{}}', 'application/json; charset=utf-8'],
  ['Unity', '{"room_name":"R","participant_name":"Ann"}', JSON_TYPE],
  ['C++', '{"room_name":"R","participant_name":"Ann"}', JSON_TYPE],
  ['every field, all of them empty', '{"room_name":"R","participant_name":"Ann","participant_identity":"","participant_metadata":"","participant_attributes":{},"room_config":{"name":"","agents":[]}}', JSON_TYPE],
  ['camelCase, as protobuf JSON may be', '{"roomName":"R","participantName":"Ann","roomConfig":{}}', JSON_TYPE],
  ['own identity', '{"room_name":"R","participant_name":"Ann","participant_identity":"bob"}', JSON_TYPE],
];

for (const [sdk, body, type] of REQUESTS) {
  test(`${sdk}: 201, and LiveKit takes the token`, async ({ operated, livekit, room }) => {
    const answer = await post(`${operated.url}/api/token`, 'bob-token', body.replace('"R"', JSON.stringify(room)), { 'Content-Type': type });
    expect(answer.text).not.toBe('');
    expect([answer.status, answer.body.code]).toEqual([201, undefined]);
    expect(answer.body).toMatchObject({ server_url: livekit.url, participant_token: expect.any(String), room_name: room, participant_name: 'Ann' });
    expect(decodeJwt(answer.body.participant_token)).toMatchObject({ sub: 'bob', name: 'Ann', video: { room, canPublish: false } });
    const taken = await fetch(`${livekit.api}/rtc/validate`, { headers: { Authorization: `Bearer ${answer.body.participant_token}` } });
    expect(taken.status).toBe(200);
  });
}

// Sent by SDKs whose options were left empty: the standard leaves the room to
// the server, this door asks for one. What must not be there are the keys that
// Android reads as success, whatever the status.
for (const [sdk, body] of [
  ['Unity', '{}'],
  ['Swift, Android, Flutter', '{"room_config":{}}'],
]) {
  test(`${sdk} without a room: room_required, and nothing that reads as success`, async ({ operated }) => {
    const answer = await post(`${operated.url}/api/token`, 'alice-token', body);
    expect([answer.status, answer.body.code]).toEqual([400, 'room_required']);
    for (const key of ['server_url', 'serverUrl', 'participant_token', 'participantToken', 'token', 'url']) expect(answer.body).not.toHaveProperty(key);
  });
}

for (const [what, extra, code] of [
  ['an agent', { room_config: { agents: [{ agent_name: 'scribe' }] } }, 'field_not_allowed'],
  ['attributes', { participant_attributes: { role: 'host' } }, 'field_not_allowed'],
  ['metadata', { participant_metadata: 'host' }, 'field_not_allowed'],
  ['another identity', { participant_identity: 'alice' }, 'identity_not_allowed'],
]) {
  test(`${what} in the request is refused, not dropped`, async ({ operated, room }) => {
    const answer = await post(`${operated.url}/api/token`, 'bob-token', { room_name: room, ...extra });
    expect([answer.status, answer.body.code]).toEqual([403, code]);
    expect(answer.body).not.toHaveProperty('participant_token');
  });
}

test('the preflight that a browser sends is answered before any authentication', async ({ operated }) => {
  const ask = (origin) =>
    fetch(`${operated.url}/api/token`, {
      method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization,content-type' },
    });
  const allowed = await ask(operated.customer);
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get('access-control-allow-origin')).toBe(operated.customer);
  expect(allowed.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
  expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
  expect((await ask(operated.stranger)).headers.get('access-control-allow-origin')).toBeNull();
  expect((await ask('null')).headers.get('access-control-allow-origin')).toBeNull();
});
