/** Many sleepers: time and bytes per task, each competitor in a process of its own so that nobody inherits a heap. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export async function sleepers(): Promise<void> {
  for (const count of [100_000, 1_000_000]) {
    const figures = ['bare', 'aiokit'].map((who) => figuresOf(who, count));
    const [bare, aiokit] = figures as [Figures, Figures];
    console.log(
      `${count.toLocaleString('en')} sleepers: bytes each ${bare.bytes} bare, ${aiokit.bytes} aiokit ` +
        `(${(aiokit.bytes / bare.bytes).toFixed(2)}/1.75); CPU µs each ${bare.cpu} bare, ${aiokit.cpu} aiokit ` +
        `(${(aiokit.cpu / bare.cpu).toFixed(2)}/2)`,
    );
  }
}

interface Figures {
  bytes: number;
  cpu: number;
}

function figuresOf(who: string, count: number): Figures {
  const file = fileURLToPath(new URL('sleepers-process.ts', import.meta.url));
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, '--max-old-space-size=8192', file, who, `${count}`],
    {
      encoding: 'utf8',
    },
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Figures;
}
