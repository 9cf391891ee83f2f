import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventually } from './support/eventually.ts';
import { forked } from './support/fork.ts';
import { isRunning, processesUnder } from './support/processes.ts';

interface Held {
  readonly pids: number[];
  readonly directories: string[];
}

const family = (pid: number) => [pid, ...processesUnder(pid)];

/** Guards need a moment, once their process is gone. */
async function vanish(processes: readonly number[], directories: readonly string[]): Promise<void> {
  const left = () => [...processes.filter(isRunning), ...directories.filter((directory) => existsSync(directory))];
  await eventually(left).toEqual([]);
}

describe('a guard', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'ends servers and removes their files when the process gets %s',
    async (signal) => {
      await using holder = forked('holder.ts', ['both']);
      const { pids, directories } = await holder.message<Held>();
      const processes = pids.flatMap(family);
      expect(processes.filter(isRunning)).toEqual(processes);
      expect(directories.every((directory) => existsSync(directory))).toBe(true);
      await holder.end(signal);
      await vanish(processes, directories);
    },
  );

  it('ends servers that are paused', async () => {
    await using holder = forked('holder.ts', ['both', 'pause']);
    const { pids, directories } = await holder.message<Held>();
    const processes = pids.flatMap(family);
    await holder.end('SIGKILL');
    // PostgreSQL gives backends that are stopped five seconds before it kills them.
    await vanish(processes, directories);
  });

  it('does not keep a process that forgot its servers, and ends them after it', async () => {
    await using holder = forked('holder.ts', ['both', 'forget']);
    const { pids, directories } = await holder.message<Held>();
    await holder.end();
    expect(holder.process.exitCode).toBe(0);
    await vanish(pids, directories);
  });

  // The first child is the guard, the second the server.
  it.each(['postgres', 'redis'].flatMap((what) => [1, 2].map((count) => ({ what, count }))))(
    'leaves nothing when the process dies right after it spawned child $count of $what',
    async ({ what, count }) => {
      await using holder = forked('holder.ts', [what, `die-after-${count}`]);
      await holder.end();
      expect(holder.process.signalCode).toBe('SIGKILL');
      const children = (await holder.output)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { pid: number; args: string[] });
      expect(children).toHaveLength(count);
      const directory = children[0]?.args[3] as string;
      expect(directory).toMatch(new RegExp(`/aiokit-${what}-`));
      await vanish(
        children.map(({ pid }) => pid),
        [directory],
      );
    },
  );
});
