// `npm run example -- 000/as-completed` runs examples/lectures/000/as-completed.ts on the packages' sources.
import './check-node.mjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const lectures = fileURLToPath(new URL('../examples/lectures/', import.meta.url));
const [name, ...args] = process.argv.slice(2);

if (name === undefined || !existsSync(`${lectures}${name}.ts`)) {
  const names = globSync('*/*.ts', { cwd: lectures }).map(
    (path) => `  ${path.replaceAll('\\', '/').replace(/\.ts$/, '')}`,
  );
  console.error(name === undefined ? 'Which example?' : `There is no example "${name}".`, 'There are:');
  console.error(names.sort().join('\n'));
  process.exit(1);
}

const child = spawn(process.execPath, ['--conditions=@aiokit/source', `${lectures}${name}.ts`, ...args], {
  stdio: 'inherit',
});
// The example decides what a signal means; this script only waits for it to end, and ends alike.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
const [status, signal] = await once(child, 'close');
process.exitCode = status ?? 128 + constants.signals[/** @type {NodeJS.Signals} */ (signal)];
