// `stagedoor serve` with an identity provider that is certified as one: its
// tokens, its keys when they change, and its absence.
import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { post, startServe } from '../lib/door.js';
import { AUDIENCE, newKey, startProvider } from '../lib/identity-provider.js';
import { freePort } from '../lib/program.js';
import { expect, test } from '../lib/test.js';

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];

function serve(livekit, issuer) {
  return startServe({
    LIVEKIT_URL: livekit.url, LIVEKIT_API_KEY: livekit.key, LIVEKIT_API_SECRET: livekit.secret,
    OIDC_ISSUER: issuer, OIDC_AUDIENCE: AUDIENCE,
  });
}

async function ready(door, within = 15_000) {
  await expect.poll(() => fetch(`${door.url}/readyz`).then((answer) => answer.status), { timeout: within, intervals: [100] }).toBe(200);
}

const join = (door, token) => post(`${door.url}/api/join`, token, { room: 'oidc' });
const verdict = async (door, token) => {
  const answer = await join(door, token);
  return answer.status === 200 ? 'taken' : `${answer.status} ${answer.body.code}`;
};

// Tokens that look right in everything but the key, each under a key id that
// nobody has ever seen: what it takes to make a verifier ask for keys.
const strangersKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
function garbage(issuer, n) {
  return new SignJWT({ sub: 'stranger', aud: AUDIENCE })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: `unknown-${n}-${Math.random()}` })
    .setIssuer(issuer).setIssuedAt().setExpirationTime('5m')
    .sign(strangersKey);
}

test('tokens of every algorithm are taken, and LiveKit takes what they turn into', async ({ livekit }) => {
  const provider = await startProvider(await Promise.all(ALGORITHMS.map(newKey)));
  const door = await serve(livekit, provider.issuer);
  await ready(door);

  for (const alg of ALGORITHMS) {
    const token = await provider.machineToken(alg);
    expect(decodeProtectedHeader(token)).toMatchObject({ alg, typ: 'at+jwt' });
    const answer = await join(door, token);
    expect([alg, answer.status, answer.text]).toEqual([alg, 200, expect.any(String)]);
    expect(answer.body).toMatchObject({ identity: 'machine', permissions: { canPublish: false }, publishDenied: 'no_subscription' });
    const taken = await fetch(`${livekit.api}/rtc/validate`, { headers: { Authorization: `Bearer ${answer.body.token}` } });
    expect(taken.status).toBe(200);
  }

  // A person who signs in through the browser flow.
  const { access_token: access, id_token: id } = await provider.signIn('ann', 'ES256');
  const ann = await join(door, access);
  expect(ann.status).toBe(200);
  expect(ann.body.identity).toBe('ann');
  expect(decodeJwt(ann.body.token)).toMatchObject({ sub: 'ann', name: 'ann of the provider' });

  // Genuine, and yet not for this door: made for the application itself.
  expect(decodeJwt(id).aud).toBe('app');
  expect(await verdict(door, id)).toBe('401 invalid_token');
  expect(await verdict(door, `${access.slice(0, -8)}AAAAAAAA`)).toBe('401 invalid_token');
  expect(await verdict(door, await garbage(provider.issuer, 0))).toBe('401 invalid_token');
  await door.stop();
  await provider.stop();
});

test('keys are rotated under a flood of garbage, and the provider goes away and comes back', async ({ livekit }) => {
  test.setTimeout(60_000);
  const provider = await startProvider([await newKey('RS256')]);
  const door = await serve(livekit, provider.issuer);
  await ready(door);
  const old = await provider.machineToken('RS256');
  expect(await verdict(door, old)).toBe('taken');

  // The flood: each of these could make a careless verifier ask the provider.
  const tokens = await Promise.all(Array.from({ length: 200 }, (_, n) => garbage(provider.issuer, n)));
  const before = provider.asked.length;
  const begin = Date.now();
  const verdicts = await Promise.all(tokens.map((token) => verdict(door, token)));
  expect(Date.now() - begin).toBeLessThan(3000);
  expect(new Set(verdicts)).toEqual(new Set(['401 invalid_token']));
  expect(provider.asked.length - before, 'requests for keys, for 200 unknown key ids').toBe(1);
  expect(await verdict(door, old), 'nobody else is held up').toBe('taken');

  // The worst moment to rotate: the door has just asked, and the flood goes on.
  provider.rotate([await newKey('RS256')]);
  const rotated = Date.now();
  const fresh = await provider.machineToken('RS256');
  await expect
    .poll(async () => {
      await verdict(door, await garbage(provider.issuer, 'on'));
      return verdict(door, fresh);
    }, { message: 'the new key', timeout: 12_000, intervals: [250] })
    .toBe('taken');
  const took = (Date.now() - rotated) / 1000;
  test.info().annotations.push({ type: 'rotation', description: `new key taken after ${took.toFixed(1)} s` });
  expect(took).toBeLessThan(12);
  expect(await verdict(door, old), 'the key that was removed').toBe('401 invalid_token');
  const asked = provider.asked.slice(before);
  expect(asked, 'requests for keys in all').toHaveLength(2);
  expect(asked[1] - asked[0], 'milliseconds between them').toBeGreaterThanOrEqual(9_900);

  // The provider breaks every connection. Nobody whose key is known loses
  // anything by it, not even when the door has asked in vain.
  provider.down();
  expect(await verdict(door, fresh)).toBe('taken');
  await expect
    .poll(async () => {
      // 401 while the last answer is not ten seconds old, 503 once the door has asked in vain.
      expect(['401 invalid_token', '503 unavailable']).toContain(await verdict(door, await garbage(provider.issuer, 'down')));
      return provider.asked.length - before;
    }, { message: 'the door asks, in vain', timeout: 12_000, intervals: [250] })
    .toBeGreaterThan(2);
  expect(await verdict(door, await garbage(provider.issuer, 'in vain'))).toBe('503 unavailable');
  expect(await verdict(door, fresh)).toBe('taken');
  expect((await fetch(`${door.url}/readyz`)).status).toBe(200);

  // It comes back, with another key yet again.
  provider.rotate([await newKey('ES256')]);
  provider.up();
  const returned = Date.now();
  const back = await provider.machineToken('ES256');
  await expect.poll(() => verdict(door, back), { message: 'the key after the return', timeout: 12_000, intervals: [250] }).toBe('taken');
  expect(Date.now() - returned).toBeLessThan(12_000);
  expect(await verdict(door, fresh)).toBe('401 invalid_token');
  await door.stop();
  await provider.stop();
});

test('a door that starts before its provider says so, and opens when the provider is there', async ({ livekit }) => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const door = await serve(livekit, issuer);
  const early = await join(door, await garbage(issuer, 'early'));
  expect([early.status, early.body.code]).toEqual([503, 'unavailable']);
  expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await fetch(`${door.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${door.url}/healthz`)).status).toBe(200);

  const provider = await startProvider([await newKey('RS256')], port);
  await ready(door, 12_000);
  expect(await verdict(door, await provider.machineToken('RS256'))).toBe('taken');
  await door.stop();
  await provider.stop();
});
