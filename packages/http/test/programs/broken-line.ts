/**
 * The line between the first process and a worker breaks while something is said on it. 'worker': the first process learns of
 * a worker's death only after it has told it that the server closes. 'first': a worker closes after the first process died.
 */

import { execFileSync } from 'node:child_process';
import cluster from 'node:cluster';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { serve } from '@aiokit/http/server';

const [, , dying] = process.argv;

/** Ended with all of its threads, which share its end of the line, and not yet collected by its parent. */
function isDead(pid: number): boolean {
  if (!existsSync('/proc/self/task')) {
    return execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'latin1' }).startsWith('Z');
  }
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.length === 1 && readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
}

const bothListen = Promise.withResolvers<void>();
let listening = 0;
cluster.on('listening', (worker) => {
  if (++listening < 2) return;
  worker.send('both listen');
  bothListen.resolve();
});

const server = await serve(() => new Response(), {
  port: 0,
  workers: 2,
  drainDelay: dying === 'worker' ? 1 : 0,
  log: () => {},
});
if (cluster.isPrimary && dying === 'worker') {
  await bothListen.promise;
  const [worker] = Object.values(cluster.workers ?? {});
  const pid = worker?.process.pid as number;
  process.kill(pid, 'SIGKILL');
  while (!isDead(pid));
  await server.close();
  console.log('closed');
} else if (cluster.isWorker && dying === 'first') {
  process.once('message', () => {
    const first = process.ppid;
    process.kill(first, 'SIGKILL');
    while (process.ppid === first);
    server.close();
  });
}
