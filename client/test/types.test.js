// The types, checked by the compiler against real uses, and against the code.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as helper from '../livekit-join.js';

const root = fileURLToPath(new URL('..', import.meta.url));

function compile(...args) {
  const { status, stdout } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '--noEmit', ...args], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stdout);
}

test('uses of the types compile, misuses do not', () => compile('-p', 'test/types'));

// Apart, because livekit-client's own declarations only pass with skipLibCheck.
test('the declarations themselves are sound', () =>
  compile('--ignoreConfig', '--strict', '--target', 'es2022', '--lib', 'es2022,dom', 'livekit-join.d.ts'));

test('the module exports what the types promise', () => {
  assert.deepEqual(Object.keys(helper).sort(), ['JoinError', 'livekitJoin', 'takeInvitation']);
});
