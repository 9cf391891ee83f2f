import { chown, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { SystemUser } from './system-user.ts';

/**
 * The folder in the temporary directory for what outlives one test: templates of data directories, and who shares which server.
 * Anybody may make a folder with that name, so it is used only if it belongs to the user, and nobody else can write there.
 */
export async function privateDirectory(user?: SystemUser): Promise<string> {
  const uid = user?.uid ?? userInfo().uid;
  const directory = join(tmpdir(), `aiokit-services-${uid}`);
  if (!(await exists(directory))) {
    const draft = await mkdtemp(`${directory}-`); // readable for its owner alone
    if (user) await chown(draft, user.uid, user.gid);
    await publish(draft, directory);
  }
  const owner = (await lstat(directory)).uid;
  if (owner === uid) return directory;
  throw new Error(
    `${directory} belongs to user ${owner}, not to ${uid}: remove it, or set TMPDIR to another directory.`,
  );
}

/** Gives a finished directory its name. One that is not empty is not replaced: then somebody else was first, and made the same. */
export async function publish(draft: string, target: string): Promise<void> {
  try {
    await rename(draft, target);
  } catch {
    await rm(draft, { recursive: true, force: true });
  }
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
