/**
 * Where servers keep their data. In memory, if there is room: creating a database writes 300 files, which takes 10 ms in
 * memory and 20 to 300 ms on ext4, that for minutes avoids the inodes of files just deleted, and a test run creates and
 * drops databases all the time. Whoever sets TMPDIR has chosen.
 */
import { realpath, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';

// Docker gives a container 64 MB of it, which one server would fill.
const ROOM = 1024 ** 3;

export async function scratchDirectory(): Promise<string> {
  if (process.env.TMPDIR === undefined && (await hasRoom(MEMORY))) return MEMORY;
  return realpath(tmpdir());
}

async function hasRoom(directory: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize >= ROOM;
  } catch {
    return false; // not Linux
  }
}
