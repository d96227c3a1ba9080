// An OpenID Connect provider that is certified as one (oidc-provider), so that
// the door is not tested against our own idea of what providers do.
import { createServer } from 'node:http';
import { createHash, randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const REDIRECT = 'http://127.0.0.1/signed-in';
const SECRET = 'a-secret-of-this-test-run-alone';
export const AUDIENCE = 'stagedoor';

/** A private key that the provider may sign with, under a fresh key id. */
export async function newKey(alg) {
  const { privateKey } = await generateKeyPair(alg === 'EdDSA' ? 'Ed25519' : alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${randomBytes(6).toString('hex')}` };
}

/**
 * Starts a provider on loopback. `rotate` puts other signing keys in the place
 * of all it had; `down` makes it break every connection, `up` ends that; `asked`
 * lists when it was asked for its keys or its discovery document, in vain or not.
 */
export async function startProvider(keys, port = 0) {
  let answer;
  let broken = false;
  const asked = [];
  const server = createServer((request, response) => {
    if (/^\/(jwks|\.well-known\/)/.test(request.url)) asked.push(Date.now());
    answer(request, response);
  });
  server.on('connection', (socket) => {
    if (!broken) return;
    asked.push(Date.now());
    socket.destroy();
  });
  await new Promise((done, fail) => server.once('error', fail).listen(port, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${server.address().port}`;

  function rotate(next) {
    answer = provider(issuer, next);
  }
  rotate(keys);

  return {
    issuer,
    asked,
    rotate,
    machineToken: (alg) => machineToken(issuer, alg),
    signIn: (account, alg) => signIn(issuer, account, alg),
    down() {
      broken = true;
      server.closeAllConnections();
    },
    up() {
      broken = false;
    },
    stop() {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

// What a provider remembers survives a change of its keys, as in a database.
class Memory {
  static #all = new Map();

  constructor(model) {
    this.key = (id) => `${model}:${id}`;
  }

  async upsert(id, payload) {
    Memory.#all.set(this.key(id), payload);
  }

  async find(id) {
    return Memory.#all.get(this.key(id));
  }

  async findByUid(uid) {
    return [...Memory.#all.values()].find((payload) => payload.uid === uid);
  }

  async consume(id) {
    Memory.#all.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    Memory.#all.delete(this.key(id));
  }

  async findByUserCode() {}

  async revokeByGrantId() {}
}

// The API that a token is for names the algorithm: urn:stagedoor:RS256 and so on.
const resource = (alg) => `urn:stagedoor:${alg}`;

function provider(issuer, keys) {
  const op = new Provider(issuer, {
    jwks: { keys },
    adapter: Memory,
    cookies: { keys: [SECRET] },
    clients: [
      { client_id: 'machine', client_secret: SECRET, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], id_token_signed_response_alg: keys[0].alg },
      { client_id: 'app', client_secret: SECRET, grant_types: ['authorization_code'], redirect_uris: [REDIRECT], id_token_signed_response_alg: keys[0].alg },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, indicator) => ({
          scope: 'join',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: indicator.split(':').at(-1) } },
        }),
      },
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_, token) => (token.accountId ? { name: `${token.accountId} of the provider` } : undefined),
    interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
    // Whoever signs in has consented: the door sees nothing of a consent page.
    loadExistingGrant: async (context) => {
      const grant = new op.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
      grant.addOIDCScope('openid');
      grant.addResourceScope(context.oidc.params.resource, 'join');
      await grant.save();
      return grant;
    },
    ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
  });
  const handle = op.callback();
  return async (request, response) => {
    if (!request.url.startsWith('/sign-in/')) return handle(request, response);
    // The form a person would fill in, already filled in.
    const accountId = request.headers['x-account'];
    await op.interactionFinished(request, response, { login: { accountId } });
  };
}

async function tokenFrom(issuer, client, form) {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams(form),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`the provider gives no token: ${JSON.stringify(body)}`);
  return body;
}

/** An access token of a program: client credentials, RFC 6749 §4.4, as a JWT of RFC 9068. */
async function machineToken(issuer, alg) {
  return (await tokenFrom(issuer, 'machine', { grant_type: 'client_credentials', scope: 'join', resource: resource(alg) })).access_token;
}

/** A person's access_token and id_token: the code flow with PKCE, as a browser would go through it. */
async function signIn(issuer, account, alg) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: 'app', response_type: 'code', redirect_uri: REDIRECT, scope: 'openid join', resource: resource(alg),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  const cookies = new Map();
  let address = `${issuer}/auth?${query}`;
  for (let step = 0; !address.startsWith(REDIRECT); step++) {
    if (step > 8) throw new Error('the sign-in goes round in circles');
    const response = await fetch(address, {
      redirect: 'manual',
      headers: { 'X-Account': account, Cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    const next = response.headers.get('location');
    if (!next) throw new Error(`the sign-in stops: ${response.status} ${await response.text()}`);
    address = new URL(next, address).href;
  }
  const code = new URL(address).searchParams.get('code');
  if (!code) throw new Error(`no code: ${address}`);
  return tokenFrom(issuer, 'app', { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: REDIRECT, resource: resource(alg) });
}
