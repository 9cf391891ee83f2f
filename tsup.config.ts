import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

interface Target {
  '@aiokit/source': string;
  default: string;
}

/**
 * One build for all packages, run in the package's folder. Its entries are what the package exports:
 * a new subpath is one more line in package.json.
 */
const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, Target | string | null>;
};
const targets = Object.values(exports).filter(
  (target): target is Target => typeof target === 'object' && target !== null,
);

export default defineConfig({
  entry: Object.fromEntries(
    targets.map((target) => [target.default.slice('./dist/'.length, -'.js'.length), target['@aiokit/source']]),
  ),
  format: 'esm',
  target: 'node22',
  platform: 'node',
  // `node:test` has no name without it.
  removeNodeProtocol: false,
  splitting: true,
  sourcemap: true,
  clean: true,
  // A user's `lib` need not have `Symbol.dispose`: the declarations bring it.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
});
