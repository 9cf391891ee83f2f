// Imported first by every script, and plain enough for any old Node to read: says what is wrong before anything odd happens.
import { existsSync, readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../packages/core/package.json', import.meta.url), 'utf8'));
const wanted = engines.node.replace('>=', '');

if (!existsSync(new URL('../node_modules/@aiokit/core', import.meta.url))) {
  console.error('Nothing is installed yet: run `npm ci` first.');
  process.exit(1);
}

if (process.versions.node.localeCompare(wanted, 'en', { numeric: true }) < 0) {
  console.error(
    [
      `Node too old: aiokit needs Node ${engines.node}, this is ${process.version} (${process.execPath}).`,
      '`npm ci` installs a current Node beside the other dev dependencies, and `npm run` uses it.',
      'Start this with `npm run` or `npm test`; if that is what you did, run `npm ci` again, without --ignore-scripts.',
    ].join('\n'),
  );
  process.exit(1);
}
