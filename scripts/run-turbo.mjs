import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = fileURLToPath(new URL('../node_modules/turbo/bin/turbo', import.meta.url));

/**
 * Runs turbo tasks, and goes on after a failure so that one run shows all of them.
 *
 * @param {string[]} args tasks and turbo's own options
 * @returns {Promise<number>} the exit status
 */
export async function runTurbo(...args) {
  const turbo = spawn(process.execPath, [bin, 'run', '--continue=dependencies-successful', ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', DO_NOT_TRACK: '1' },
  });
  const [status] = await once(turbo, 'close');
  return status ?? 1;
}
