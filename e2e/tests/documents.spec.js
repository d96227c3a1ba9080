// The commands in the documentation, typed as a reader would type them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeJwt } from 'jose';
import { post, startServe } from '../lib/door.js';
import { commands, fenced, inlineCode } from '../lib/documents.js';
import { emptyDirectory, freePort, Program, ROOT, run, STAGEDOOR } from '../lib/program.js';
import { expect, test } from '../lib/test.js';

const GUIDES = ['README.md', 'CONTRIBUTING.md', 'docs/api.md', 'docs/clients.md', 'docs/authentication.md', 'docs/billing.md', 'docs/operations.md', 'docs/policy.md', 'docs/deploy.md', 'docs/checklist.md', 'docs/troubleshooting.md', 'docs/privacy.md', 'docs/livekit.md', 'docs/faq.md'];
const CALLER_SECRET = 'e2e-only-mN4pQrS6tUvW8xYz1bD3fG5h-caller';

/** Runs one command line as bash does; curl fails where the answer is a refusal. */
async function shell(line, environment = {}) {
  const home = emptyDirectory();
  try {
    writeFileSync(path.join(home, '.curlrc'), 'fail-with-body\nsilent\n');
    return await run('bash', ['-o', 'pipefail', '-c', line], { cwd: home, env: { PATH: process.env.PATH, HOME: home, CURL_HOME: home, ...environment } });
  } finally {
    rmSync(home, { recursive: true });
  }
}

// Collected once, and counted, so that a document that moves or is reformatted
// cannot turn these tests into none.
const curls = GUIDES.flatMap((file) => fenced(file, 'bash').map((block) => ({ ...block, lines: commands(block).filter((line) => line.startsWith('curl ')) })))
  .flatMap(({ lines, ...block }) => lines.map((line) => ({ ...block, command: line })))
  .filter(({ command }) => /\/api\/(join|token)/.test(command));

const programs = fenced('docs/authentication.md', 'js').filter(({ text }) => text.includes('callerToken') && text.includes('console.log'));

test('the documents hold the commands that are tested here', () => {
  expect(curls.filter(({ file }) => file === 'README.md').length).toBeGreaterThanOrEqual(3);
  expect(curls.map(({ file }) => file)).toEqual(expect.arrayContaining(['docs/api.md', 'docs/clients.md', 'docs/authentication.md']));
  expect(curls.length).toBeGreaterThanOrEqual(7);
  expect(programs).toHaveLength(2);
});

/** Puts a real invitation in the place of one that is shown. */
async function asGuest(line, world) {
  if (!line.includes('Bearer invite_')) return line;
  const { status, body } = await post(`${world.url}/api/invites`, 'alice-token', { room: 'test-room', expires: 600 });
  expect(status).toBe(201);
  return line.replace(/invite_[A-Z2-7]+/, body.url.split('#invite=')[1]);
}

for (const { file, line, command, before } of curls) {
  test(`${file}:${line}: curl`, async ({ world }) => {
    const typed = command
      .replaceAll('http://localhost:3000', world.url)
      .replaceAll('https://door.example.com', world.url)
      .replace('$(node caller-token.mjs)', '$CALLER_TOKEN'); // that program has a test of its own
    expect(typed).toContain(world.url);
    const { stdout } = await shell(await asGuest(typed, world), { CALLER_TOKEN: 'alice-token' });
    const answer = JSON.parse(stdout);
    const minted = decodeJwt(answer.token ?? answer.participant_token);
    expect(minted.video.room).toBe('test-room');
    // The sentence above says what is to be seen.
    if (/no_subscription/.test(before)) expect(answer).toMatchObject({ publishDenied: 'no_subscription', permissions: { canPublish: false } });
    if (/alice-token/.test(command)) expect(minted.video.canPublish).toBe(true);
  });
}

test('README.md: the answer shown is the answer given', async ({ world }) => {
  const [shown] = fenced('README.md', 'json').map(({ text }) => JSON.parse(text));
  const { body } = await post(`${world.url}/api/join`, 'alice-token', { room: shown.room, username: 'Alice' });
  expect({ ...body, token: shown.token, url: shown.url }).toEqual(shown);
  expect(body.url).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/);
});

test('README.md: "Deploy in five lines" starts a door', async () => {
  const block = fenced('README.md', 'bash').find(({ text }) => text.includes('bin/stagedoor serve'));
  const lines = commands(block);
  expect(lines).toHaveLength(5);
  expect(lines.at(-1)).toBe('bin/stagedoor serve');
  const environment = {};
  for (const line of lines.slice(0, -1)) {
    expect(line).toMatch(/^export /);
    for (const pair of line.slice('export '.length).split(' ')) {
      const [, name, value] = pair.match(/^([A-Z_]+)=(\S+)$/);
      environment[name] = value
        .replace('your-api-secret', 'e2e-only-5tUvW8xYz1bD3fG5h7jK9-deploy')
        .replace(/_your-(key|secret)$/, (_, of) => (of === 'key' ? '_e2eOnly9kLmN4qRsT6vWxY8zAb2cD' : '_e2eOnly5tUvW8xYz1bD3fG5h7jK9'))
        .replace(/\byour-/, 'e2e-');
    }
  }
  // No real provider is asked: .invalid has no address.
  environment.OIDC_ISSUER = new URL(environment.OIDC_ISSUER).pathname.replace(/^/, 'https://issuer.invalid');
  const port = await freePort();
  const door = new Program(STAGEDOOR, ['serve'], { ...environment, PORT: String(port), ADMIN_ADDR: '127.0.0.1:0', DRAIN_DELAY: '0s' });
  await door.until(/stagedoor is listening/);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  await door.stop();
});

for (const { line, text } of programs) {
  test(`docs/authentication.md:${line}: the program signs a token that the door takes`, async ({ livekit }) => {
    const block = fenced('docs/authentication.md', 'bash').find(({ text: settings }) => settings.includes('JWT_AUDIENCE='));
    const settings = Object.fromEntries(commands(block).map((each) => each.split('=')));
    expect(settings).toMatchObject({ JWT_ISSUER: expect.stringMatching(/^https:/), JWT_AUDIENCE: expect.any(String) });
    const door = await startServe({
      ...settings, JWT_SECRET: CALLER_SECRET, LIVEKIT_URL: livekit.url, LIVEKIT_API_KEY: livekit.key, LIVEKIT_API_SECRET: livekit.secret,
    });
    // Beside this test's modules, where `jose` is found.
    const program = fileURLToPath(new URL(`../test-results/programs/${line}.mjs`, import.meta.url));
    mkdirSync(path.dirname(program), { recursive: true });
    writeFileSync(program, text);
    const { stdout } = await run(process.execPath, [program], { env: { PATH: process.env.PATH, JWT_SECRET: CALLER_SECRET } });
    const answer = await post(`${door.url}/api/join`, stdout.trim(), { room: 'test-room' });
    expect([answer.status, answer.body.identity, decodeJwt(answer.body.token).name]).toEqual([200, 'user-1', 'Alice']);
    await door.stop();
  });
}

test('every make target and every stagedoor command that is named exists', async () => {
  const typed = GUIDES.flatMap((file) => [...fenced(file, 'bash').flatMap(commands), ...inlineCode(file)]);
  const targets = new Set(typed.map((line) => line.match(/^make(?: ([a-z][a-z0-9-]*))?$/)?.[1]).filter(Boolean));
  expect([...targets]).toEqual(expect.arrayContaining(['dev', 'test', 'build']));
  const makefile = readFileSync(path.join(ROOT, 'Makefile'), 'utf8');
  for (const target of targets) expect(makefile, `make ${target}`).toMatch(new RegExp(`^${target}:`, 'm'));

  const named = typed.map((line) => line.match(/^(?:bin\/)?stagedoor (policy \S+|\S+)(.*)$/)).filter(Boolean);
  expect(new Set(named.map(([, command]) => command))).toEqual(new Set(['serve', 'dev', 'check', 'token', 'version', 'explain', 'ban', 'unban', 'bans', 'audit', 'forget', 'scan', 'sync', 'backup', 'restore', 'policy test', 'policy explain']));
  const { stdout: all } = await run(STAGEDOOR, ['--help']);
  for (const [line, command, rest] of named) {
    expect(all, line).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    const { stdout: help } = await run(STAGEDOOR, [...command.split(' '), '--help']);
    for (const flag of rest.match(/--[a-z-]+/g) ?? []) expect(help, line).toContain(`${flag}`);
  }
});

test('a bare `stagedoor dev` takes the port that README.md names', async () => {
  const named = new Set(curls.filter(({ file }) => file === 'README.md').map(({ command }) => new URL(command.match(/http:\S+/)[0]).port));
  expect([...named]).toEqual(['3000']);
  const dev = new Program(STAGEDOOR, ['dev'], {});
  // Somebody may be at work on this machine: then it says that this very port is taken.
  const [, open, taken] = await dev.until(/Open +http:\/\/localhost:(\d+)|port (\d+) is taken/);
  expect(open ?? taken).toBe('3000');
  if (open) await dev.stop();
  else expect(await dev.ended).toMatchObject({ code: 1 });
});
