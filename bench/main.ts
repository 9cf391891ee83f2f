/**
 * `npm run bench` measures everything beside this file that is called `*.bench.ts`, each in a process of its own;
 * `npm run bench -- queue` only `queue.bench.ts`.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const wanted = process.argv.slice(2);
const files = globSync('*.bench.ts', { cwd: import.meta.dirname })
  .filter((file) => wanted.length === 0 || wanted.includes(file.replace('.bench.ts', '')))
  .sort();

if (files.length === 0) console.error('There is no such benchmark.');
for (const file of files) {
  console.log(`\n${file}`);
  spawnSync(process.execPath, [...process.execArgv, file], { cwd: import.meta.dirname, stdio: 'inherit' });
}
