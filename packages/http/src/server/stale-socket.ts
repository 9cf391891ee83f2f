import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';

/** Removes the Unix domain socket that a program left there when it was killed. One that somebody listens on stays. */
export async function removeStaleSocket(path: string): Promise<void> {
  const file = await lstat(path).catch(() => null);
  // To connect to any other file is refused, too.
  if (file?.isSocket() && (await isRefused(path))) await unlink(path);
}

async function isRefused(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}
