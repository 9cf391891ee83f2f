/**
 * A fresh data directory. `initdb` takes 0.8 s, a copy of what it made 0.1 s; so it runs once per version, user and machine, and its
 * result stays in the temporary directory. Several processes may do this at once: each makes its own, the first rename wins.
 */
import { execFile } from 'node:child_process';
import { chown, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { exists, privateDirectory, publish } from './private-directory.ts';
import type { SystemUser } from './system-user.ts';

/** The superuser of every server we make. Who can reach it may connect: it listens on the loopback interface alone. */
export const SUPERUSER = 'postgres';

/** Makes the data directory `target`; its parent exists and belongs to `user`. */
export async function createDataDirectory(
  target: string,
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
): Promise<void> {
  const template = await dataTemplate(binaries, user);
  await run('cp', ['-a', template, target], user);
}

async function dataTemplate(binaries: PostgresBinaries, user: SystemUser | undefined): Promise<string> {
  // Builds of one version may differ in what initdb makes; copies of one build, in the projects that installed it, share a template.
  const { size } = await stat(join(binaries.directory, 'postgres'));
  const template = join(await privateDirectory(user), `postgres-${binaries.version}-${size}`);
  if (await exists(template)) return template;
  const draft = await mkdtemp(`${template}-`);
  try {
    if (user) await chown(draft, user.uid, user.gid);
    await initdb(draft, binaries, user);
  } catch (error) {
    await rm(draft, { recursive: true });
    throw error;
  }
  await publish(draft, template);
  return template;
}

async function initdb(directory: string, binaries: PostgresBinaries, user: SystemUser | undefined): Promise<void> {
  // The C locale: the same order of strings on every machine, and server messages in English.
  // Write-ahead log files of 1 MB instead of 16: a third of a directory that is copied for every server.
  const args = ['-D', directory, '-U', SUPERUSER, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  await run(join(binaries.directory, 'initdb'), [...args, '--wal-segsize=1'], user);
}

async function run(command: string, args: readonly string[], user: SystemUser | undefined): Promise<void> {
  await promisify(execFile)(command, args, { ...user, cwd: '/' });
}
