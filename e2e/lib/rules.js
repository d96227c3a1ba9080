// A door with a policy file, which a test may change while it runs.
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { emptyDirectory } from './program.js';
import { startStage } from './stage.js';

/** Writes a policy file; `change` replaces it in one step, as editors and mounts do. */
export function policyFile(text) {
  const file = path.join(emptyDirectory(), 'policy.yaml');
  const change = (next) => {
    writeFileSync(`${file}.new`, next);
    renameSync(`${file}.new`, file);
  };
  change(text);
  return { file, change };
}

/** Everything for a call, by the rules of a policy file. */
export async function startRuledStage(text, environment = {}) {
  const rules = policyFile(text);
  const stage = await startStage({ POLICY_FILE: rules.file, ...environment });
  await stage.door.quiet();
  return Object.assign(stage, { rules });
}
