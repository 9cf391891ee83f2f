// A process that starts servers, tells its parent about them, and stays until it is killed. By its arguments:
// which servers ('postgres', 'redis' or 'both'), and what then: 'hold', 'pause', 'forget' them, or 'die-after-N': right after it started its Nth child.
import childProcess from 'node:child_process';
import { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname } from 'node:path';
import { postgres, redis } from '@aiokit/testing/services';

const [, , what, then = 'hold'] = process.argv;

const deadly = /^die-after-(\d)$/.exec(then)?.[1];
if (deadly !== undefined) dieAfter(Number(deadly));

const [sql, store] = await Promise.all([
  what === 'redis' ? undefined : postgres({ server: 'private' }),
  what === 'postgres' ? undefined : redis({ server: 'private' }),
]);
if (then === 'pause') await Promise.all([sql?.pause(), store?.pause()]);
process.send?.({
  pids: [sql?.pid, store?.pid].filter((pid) => pid !== undefined),
  directories: [sql?.socketDir, store && dirname(store.socket)].filter((directory) => directory !== undefined),
});
if (then === 'forget') process.disconnect();
else setInterval(() => {}, 1000);

function dieAfter(count: number): void {
  const { spawn } = childProcess;
  let spawned = 0;
  const spy = (...args: Parameters<typeof spawn>) => {
    const child = spawn(...args);
    writeSync(1, `${JSON.stringify({ pid: child.pid, args: args[1] })}\n`);
    spawned += 1;
    if (spawned === count) process.kill(process.pid, 'SIGKILL');
    return child;
  };
  childProcess.spawn = spy as typeof spawn;
  syncBuiltinESMExports();
}
