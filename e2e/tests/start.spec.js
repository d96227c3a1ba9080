// Starting and ending: what one command starts, Ctrl-C ends.
import { existsSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { post, startDev } from '../lib/door.js';
import { listens } from '../lib/program.js';

test('one command starts the door and a LiveKit server, Ctrl-C ends both', async () => {
  const dev = await startDev();
  const livekitPort = new URL(dev.livekit).port;
  expect(await listens(livekitPort)).toBe(true);
  if (process.platform === 'linux') expect(dev.children, 'the LiveKit server').toHaveLength(1);
  const answer = await post(`${dev.url}/api/join`, 'alice-token', { room: 'demo' });
  expect(answer.status).toBe(200);
  expect(answer.body.url).toBe(dev.livekit);

  await dev.stop(); // throws for anything that is left
  expect(await listens(livekitPort)).toBe(false);
  expect(await listens(dev.port)).toBe(false);
  for (const child of dev.children) expect(existsSync(`/proc/${child}`)).toBe(false);
});
