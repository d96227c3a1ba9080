// What must never leak: the secrets that programs under test are given, in
// every form in which they could be written down, and tokens.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const known = new Set();

/** Remembers the secrets that an environment holds: everything that was started shares them from then on. */
export function guard(environment) {
  for (const [name, value] of Object.entries(environment)) {
    if (!/(_SECRET|_KEY|_TOKEN)(_PREVIOUS)?$/.test(name) || /^LIVEKIT_API_KEY/.test(name)) continue;
    for (const secret of String(value).split(',')) if (secret.length >= 16) known.add(secret);
  }
}

/** The forms of a secret: as it is, in base64 wherever in a longer text it stands, in hex, in a URL and in JSON. */
export function formsOf(secret) {
  const forms = new Map([['as it is', secret]]);
  const bytes = Buffer.from(secret);
  forms.set('hex', bytes.toString('hex'));
  forms.set('HEX', bytes.toString('hex').toUpperCase());
  forms.set('URL', encodeURIComponent(secret));
  forms.set('JSON', JSON.stringify(secret).slice(1, -1));
  for (const before of [0, 1, 2]) {
    // Of the characters at the edges some bits are the neighbours'.
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64').replace(/=+$/, '');
    const inner = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    forms.set(`base64, ${before} off`, inner);
    forms.set(`base64url, ${before} off`, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms;
}

// Header and payload of a token, or of any other JWT.
const jwt = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}/;

/** What of it a text or a file's bytes hold; `tokens` also finds JWTs. Never says the secret itself. */
export function leaksIn(where, content, { tokens = false } = {}) {
  const text = Buffer.isBuffer(content) ? content.toString('latin1') : content;
  const found = [];
  for (const secret of known) {
    for (const [form, spelled] of formsOf(secret)) {
      const at = text.indexOf(spelled);
      if (at >= 0) found.push(`${where}: ${secret.slice(0, 8)}… ${form}, at ${at}: …${text.slice(Math.max(0, at - 60), at)}`);
    }
  }
  if (tokens && jwt.test(text)) found.push(`${where}: a token, at ${text.search(jwt)}`);
  return found;
}

/** The same of every file below a directory. */
export function leaksBelow(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => leaksIn(entry.name, readFileSync(path.join(entry.parentPath, entry.name)), { tokens: true }));
}

/** Fails on a leak. */
export function refuseLeaks(leaks) {
  if (leaks.length > 0) throw new Error(`secrets have leaked:\n${leaks.join('\n')}`);
}
