/** `npm run conformance -- [count] [seed]`: random programs on CPython's asyncio and on aiokit; their traces must be equal. */
import { execFileSync, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { type Trace, trace } from './aiokit.ts';
import { type Program, programs } from './programs.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const [count = 500, seed = 1] = positionals.map(Number);

const python = findPython();
if (python === null) {
  console.log(
    'No Python 3.11.5 or newer was found (python3.14 … python3.11, python3; or name one in AIOKIT_PYTHON): nothing was compared.',
  );
  process.exit(process.env.AIOKIT_PYTHON === undefined ? 0 : 1);
}

const all = [...programs(seed, count)];
const theirs = await traceWithAsyncio(python.command, all);
let events = 0;
let skipped = 0;
let handedOver = 0;
const different: string[] = [];
for (const [i, program] of all.entries()) {
  const asyncio = theirs[i] as Theirs;
  if (asyncio.skip !== null) {
    skipped++;
    continue;
  }
  const aiokit = await trace(program);
  events += Object.values(asyncio.trace).flat().length;
  if (isDeepStrictEqual(aiokit, asyncio.trace)) continue;
  if (isDeepStrictEqual(withoutHandOver(aiokit), withoutHandOver(asyncio.trace))) handedOver++;
  else different.push(describe(program, asyncio.trace, aiokit));
}

for (const each of different.slice(0, 5)) console.log(`${each}\n`);
console.log(
  `${count - skipped} programs (seed ${seed}), ${events} events, ${python.version}: ${different.length} differ` +
    `${handedOver > 0 ? `; ${handedOver} differ on purpose: what was handed over at the instant of a cancel is delivered` : ''}` +
    `${skipped > 0 ? `; ${skipped} skipped, which this Python decides by an older rule` : ''}`,
);
process.exitCode = different.length === 0 ? 0 : 1;

interface Theirs {
  readonly trace: Trace;
  readonly skip: string | null;
}

function findPython(): { command: string; version: string } | null {
  const named = process.env.AIOKIT_PYTHON;
  const candidates = named ? [named] : ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
  for (const command of candidates) {
    try {
      const version = execFileSync(command, ['--version'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
      const [major = 0, minor = 0, patch = 0] = version.replace(/^\D+/, '').split('.').map(Number);
      // 3.11.2, which Debian 12 ships, still has a bug in asyncio.timeout: a cancel from outside can hide its TimeoutError.
      if (major > 3 || minor > 11 || (minor === 11 && patch >= 5)) return { command, version };
    } catch {
      // Not there: the next one.
    }
  }
  return null;
}

async function traceWithAsyncio(command: string, all: readonly Program[]): Promise<Theirs[]> {
  const child = spawn(command, [fileURLToPath(new URL('cpython.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(all.map((program) => `${JSON.stringify(program)}\n`).join(''));
  const lines = (await text(child.stdout)).trim().split('\n');
  if (lines.length !== all.length) throw new Error(`${command} gave ${lines.length} traces for ${all.length} programs`);
  return lines.map((line) => JSON.parse(line) as Theirs);
}

/** Without what a task was handed at the very instant of its cancel: asyncio takes it back, aiokit delivers it (decision 14). */
function withoutHandOver(trace: Trace): Trace {
  const events = Object.entries(trace).map(([task, all]) => [
    task,
    all.filter((event, i) => {
      const [time, text = ''] = event.split(/ (.*)/);
      return !/^(holds|got|passed|met)/.test(text) || all[i + 1] !== `${time} raises cancelled`;
    }),
  ]);
  return Object.fromEntries(events);
}

function describe(program: Program, asyncio: Trace, aiokit: Trace): string {
  const lines = [`${program.id}: ${JSON.stringify(program.main)}`];
  for (const task of new Set([...Object.keys(asyncio), ...Object.keys(aiokit)])) {
    const [theirs, ours] = [asyncio[task] ?? [], aiokit[task] ?? []];
    if (isDeepStrictEqual(theirs, ours)) continue;
    const at = theirs.findIndex((event, i) => event !== ours[i]);
    const from = Math.max(0, (at < 0 ? theirs.length : at) - 1);
    lines.push(`  ${task}`, `    asyncio: ${show(theirs, from)}`, `    aiokit:  ${show(ours, from)}`);
  }
  return lines.join('\n');
}

function show(events: readonly string[], from: number): string {
  return events.slice(from, from + 4).join(' | ') || '(nothing)';
}
