/** A project of a user's, outside of the workspace: it installs what would be published, and tests with each runner. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

interface Lock {
  packages: Record<string, { version: string; link?: boolean }>;
}

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'aiokit-sample-'));
  await cp(join(import.meta.dirname, 'sample'), project, { recursive: true });
  const [core, testing] = await Promise.all([pack('core'), pack('testing')]);
  // The versions of our own lock file: they are in npm's cache, and no release of tomorrow can break the test.
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const locked = Object.entries(lock.packages).filter(([path, { link }]) => path.startsWith('node_modules/') && !link);
  const version = (name: string) => lock.packages[`node_modules/${name}`]?.version;
  const manifest = {
    name: 'sample',
    private: true,
    type: 'module',
    devDependencies: {
      '@aiokit/core': `file:${core}`,
      '@aiokit/testing': `file:${testing}`,
      jest: version('jest'),
      vitest: version('vitest'),
    },
  };
  await writeJson('package.json', manifest);
  await writeJson('package-lock.json', {
    lockfileVersion: 3,
    requires: true,
    packages: { '': manifest, ...Object.fromEntries(locked) },
  });
  await npm(project, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts');
}, 300_000);
afterAll(() => rm(project, { recursive: true, force: true }));

test.each([
  ['vitest', ['node_modules/vitest/vitest.mjs', 'run', 'vitest.test.ts'], /2 failed \| 2 passed/],
  ['node:test', ['--test', '--test-reporter=spec', 'node.test.ts'], /pass 2\n.*fail 2\n/],
  ['jest', ['node_modules/jest/bin/jest.js', 'jest.test.js'], /2 failed, 2 passed/],
])(
  '%s runs tests in virtual time, and says why a test hangs and what it leaves behind',
  async (runner, args, count) => {
    const env = runner === 'jest' ? { ...environment(), NODE_OPTIONS: '--experimental-vm-modules' } : environment();
    const report = await run(process.execPath, args, { cwd: project, env }).then(
      () => 'It should have failed',
      ({ stdout, stderr }) => stdout + stderr,
    );
    expect(report).toMatch(count);
    expect(report).toMatch(
      /Deadlock: 1 task\(s\) wait and nothing is left that could wake them\.\n.* waits for Queue\.get/,
    );
    expect(report).toMatch(/- task forgotten still runs at .*(vitest|node|jest)\.test\.[jt]s:\d+/);
  },
);

/** @returns the path of the package as it would be published. */
async function pack(name: string): Promise<string> {
  const stdout = await npm(join(root, 'packages', name), 'pack', '--json', '--pack-destination', project);
  const [packed] = JSON.parse(stdout) as { filename: string }[];
  return join(project, packed?.filename ?? '');
}

async function npm(cwd: string, ...args: string[]): Promise<string> {
  return (await run('npm', args, { cwd, env: environment(), shell: process.platform === 'win32' })).stdout;
}

/** Without what this test's own runner, and npm, tell their children. */
function environment(): NodeJS.ProcessEnv {
  const own = /^(VITEST|NODE_ENV|NODE_OPTIONS|NODE_PATH|TEST$|FORCE_COLOR|npm_config_local_prefix|npm_package)/;
  const inherited = Object.entries(process.env).filter(([name]) => !own.test(name));
  return { ...Object.fromEntries(inherited), NO_COLOR: '1' };
}

async function writeJson(name: string, value: unknown): Promise<void> {
  await writeFile(join(project, name), JSON.stringify(value, null, 2));
}
