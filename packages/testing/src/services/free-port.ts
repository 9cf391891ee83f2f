import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that the kernel gives to outgoing connections (from 32768 on Linux, 49152 elsewhere): a killed server keeps its
// port for the restart, and a client that keeps trying such a port while nobody listens there may be connected to itself.
const LOWEST = 15_000;
const HIGHEST = 32_000;

/** A TCP port of 127.0.0.1 on which nobody listens. Somebody may take it before its user does: try again then. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free TCP port was found between ${LOWEST} and ${HIGHEST} on 127.0.0.1 in 100 attempts.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
