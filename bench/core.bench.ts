/**
 * Core against bare promises, and against its peers, on the same work in one run: CPU time per operation. Each competitor has
 * a process of its own, so that nobody inherits another's heap, hooks or compiled code; the processes take turns, and the
 * median of the turns counts. The ratios are what counts; the machine is noisy. AIOKIT_PYTHON names a Python that has uvloop and
 * trio (`pip install uvloop trio`).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sleepers } from './core/sleepers.ts';
import { WORKLOADS, type Workload } from './core/workloads.ts';

type Figures = Partial<Record<Workload, number>>;

const TURNS = Number(process.env.TURNS ?? 5);
const LIMITS: Figures = {
  'spawn + join, one after another': 3,
  'cancel + join with finally': 2.5,
  'queue of 10, bounded': 3,
};

const turns: Record<string, Figures[]> = {};
for (let turn = 0; turn < TURNS; turn++) {
  for (const name of ['bare', 'aiokit', 'effect', 'effection']) (turns[name] ??= []).push(figuresOf(name));
  for (const [name, figures] of Object.entries(pythonFigures())) (turns[name] ??= []).push(figures);
}

const names = Object.keys(turns);
console.log(`Node ${process.versions.node}: CPU µs per operation; in brackets, against bare promises (the bar).`);
console.log(['workload'.padEnd(34), ...names.map((name) => name.padStart(16))].join(''));
for (const workload of Object.keys(WORKLOADS) as Workload[]) {
  const base = medianOf('bare', workload);
  const cells = names.map((name) => {
    const figure = medianOf(name, workload);
    const bar = name === 'aiokit' ? `/${LIMITS[workload] ?? 2}` : '';
    return `${figure.toFixed(2)} (${(figure / base).toFixed(1)}${bar})`.padStart(16);
  });
  console.log([workload.padEnd(34), ...cells].join(''));
}
await sleepers();
for (const name of ['asyncio', 'uvloop', 'trio'])
  if (!names.includes(name)) console.log(`${name}: not installed, left out`);

function medianOf(name: string, workload: Workload): number {
  const figures = (turns[name] ?? []).map((turn) => turn[workload] ?? Number.NaN);
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] as number;
}

function figuresOf(name: string): Figures {
  const file = fileURLToPath(new URL('core/competitor-process.ts', import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [...process.execArgv, file, name], { encoding: 'utf8' })) as Figures;
}

function pythonFigures(): Record<string, Figures> {
  const named = process.env.AIOKIT_PYTHON;
  for (const python of named ? [named] : ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3']) {
    const { status, stdout } = spawnSync(python, ['core/peers.py'], { cwd: import.meta.dirname, encoding: 'utf8' });
    if (status === 0) return JSON.parse(stdout) as Record<string, Figures>;
  }
  return {};
}
