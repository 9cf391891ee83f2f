/** Several processes: how they are told to end, how they are replaced, and what happens when one of them hangs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { ask, killProgram, type Program, programFile, startProgram } from './support/program.ts';

const CLI = fileURLToPath(new URL('../src/server/cli.ts', import.meta.url));
const APP = programFile('app.ts');

const programs: Program[] = [];

function start(...args: string[]): Program {
  const program = startProgram(...args);
  programs.push(program);
  return program;
}

afterEach(() => {
  for (const program of programs.splice(0)) killProgram(program);
});

const pidOf = ({ child }: Program) => child.pid as number;

function urlOf(program: Program): string {
  const [, port] = /listens on [\d.]+:(\d+)/.exec(program.output()) as unknown as [string, string];
  return `http://127.0.0.1:${port}`;
}

function isAlive(pid: string): boolean {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

test.each([
  ['the first process', (pid: number) => pid],
  // Ctrl-C in a terminal, systemd.
  ['all processes at once', (pid: number) => -pid],
])('SIGTERM to %s: each finishes and cleans up, the first one last', { timeout: 60_000 }, async (_, target) => {
  const program = start(programFile('run-workers.ts'));
  await program.until(/worker \d+ listens/, 2);
  const slow = ask(`${urlOf(program)}/slow`);
  await program.until(/slow begins/);
  process.kill(target(pidOf(program)), 'SIGTERM');
  expect(await slow).toBe('whole');
  expect(await program.exited).toEqual([null, 'SIGTERM']);
  await program.closed;
  const cleaned = program.matches(/(worker|first process) has cleaned up|worker \d+ ended/).map(([, who]) => who);
  expect(cleaned.filter((who) => who === 'worker')).toHaveLength(2);
  expect(cleaned.at(-1)).toBe('first process');
});

test('a second signal ends the workers at once, too', { timeout: 60_000 }, async () => {
  const program = start(CLI, 'serve', APP, '--port', '0', '--workers', '2');
  await program.until(/worker \d+ listens/, 2);
  const blocked = ask(`${urlOf(program)}/block`).catch(() => 'cut');
  await program.until(/block begins/);
  program.child.kill('SIGTERM');
  await program.until(/a signal came/);
  program.child.kill('SIGTERM');
  expect(await program.exited).toEqual([null, 'SIGTERM']);
  expect(await blocked).toBe('cut');
  await program.closed;
});

test('a worker that does not end in its time is killed', { timeout: 60_000 }, async () => {
  const program = start(programFile('supervised.ts'));
  await program.until(/worker \d+ listens/, 2);
  const blocked = ask(`${urlOf(program)}/block`).catch(() => 'cut');
  await program.until(/block begins/);
  program.child.kill('SIGTERM');
  expect(await program.exited).toEqual([null, 'SIGTERM']);
  expect(await blocked).toBe('cut');
  expect(program.output()).toMatch(/worker \d+ has not ended in 500 ms: killed/);
  expect(program.output()).toMatch(/worker \d+ ended \(SIGKILL\)/);
});

test('SIGTERM ends workers that have not got as far as to listen', { timeout: 60_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-workers-'));
  try {
    const file = join(directory, 'app.mjs');
    await writeFile(file, 'console.log("begins"); await new Promise(() => setInterval(() => {}, 1000));');
    const program = start(CLI, 'serve', file, '--port', '0', '--workers', '2');
    await program.until(/begins/, 2);
    program.child.kill('SIGTERM');
    expect(await program.exited).toEqual([null, 'SIGTERM']);
    await program.closed;
    expect(program.matches(/worker \d+ ended/)).toHaveLength(2);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a restart that waits for a successor which never listens is given up: for the next restart, or the end', {
  timeout: 60_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-workers-'));
  try {
    const file = join(directory, 'app.mjs');
    const works = 'export default () => new Response("works");';
    const hangs = 'console.log("hangs"); await new Promise(() => setInterval(() => {}, 1000));';
    await writeFile(file, works);
    const program = start(CLI, 'serve', file, '--port', '0', '--workers', '2');
    await program.until(/worker \d+ listens/, 2);
    const first = program.matches(/worker (\d+) listens/).map(([, pid]) => pid as string);
    await writeFile(file, hangs);
    program.child.kill('SIGHUP');
    await program.until(/hangs/);
    expect(await ask(urlOf(program))).toBe('works');
    await writeFile(file, works);
    program.child.kill('SIGHUP');
    await program.until(/worker \d+ listens/, 4);
    await eventually(() => expect(first.filter(isAlive)).toEqual([]));
    expect(await ask(urlOf(program))).toBe('works');
    await writeFile(file, hangs);
    program.child.kill('SIGHUP');
    await program.until(/hangs/, 2);
    program.child.kill('SIGTERM');
    expect(await program.exited).toEqual([null, 'SIGTERM']);
    await program.closed;
    expect(program.output()).not.toContain('starting another one');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('serve() with workers that is cancelled before the first of them listens leaves none behind', {
  timeout: 60_000,
}, async () => {
  const program = start(programFile('cancelled-start.ts'));
  expect(await program.exited).toEqual([0, null]);
  await program.closed;
  expect(program.output()).toBe('CancelledError\n');
});

test('telling a worker that has just died is no error', { timeout: 60_000 }, async () => {
  const program = start(programFile('broken-line.ts'), 'worker');
  expect(await program.exited, program.output()).toEqual([0, null]);
  await program.closed;
  expect(program.output()).toBe('closed\n');
});

test('a worker that closes when the first process has just died ends quietly', { timeout: 60_000 }, async () => {
  const program = start(programFile('broken-line.ts'), 'first');
  expect(await program.exited).toEqual([null, 'SIGKILL']);
  await program.closed;
  expect(program.output()).toBe('');
});
