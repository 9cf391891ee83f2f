import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Locked {
  link?: boolean;
  resolved?: string;
  integrity?: string;
  optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const installed = Object.entries(lock.packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

test('the lock file names the binaries for every platform, not only for the one it was written on', () => {
  const names = new Set(
    installed.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)),
  );
  const missing = installed.flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !names.has(name))
      .map((name) => `${name}, of ${path}`),
  );
  // To mend it: remove node_modules and package-lock.json, then `npm install`.
  expect(missing).toEqual([]);
});

test('the lock file holds hashes, and the address of no registry', () => {
  expect(installed.filter(([, { integrity }]) => !integrity)).toEqual([]);
  expect(installed.filter(([, { resolved }]) => resolved)).toEqual([]);
});
