import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { ask, killProgram, type Program, programFile, startProgram } from './support/program.ts';

const CLI = fileURLToPath(new URL('../src/server/cli.ts', import.meta.url));
const NO_APP = fileURLToPath(new URL('../src/server/bad-headers.ts', import.meta.url));
const WORKERS = programFile('workers.ts');
const TAKEN = programFile('taken.ts');
const APP = programFile('app.ts');

const programs: Program[] = [];

function startAny(...args: string[]): Program {
  const program = startProgram(...args);
  programs.push(program);
  return program;
}

const start = (...args: string[]) => startAny(CLI, ...args);

afterEach(() => {
  for (const program of programs.splice(0)) killProgram(program);
});

test('serves a module, and ends by a signal', async () => {
  const cli = start('serve', APP, '--port', '0');
  await cli.until(/listens on/);
  const [, url] = /listens on (\S+)/.exec(cli.output()) as unknown as [string, string];
  expect(await ask(url)).toBe(String(cli.child.pid));
  cli.child.kill('SIGTERM');
  expect(await cli.exited).toEqual([null, 'SIGTERM']);
});

test('workers share a port; a dead one is replaced; SIGHUP replaces all and refuses nobody; SIGTERM finishes', {
  timeout: 60_000,
}, async () => {
  const cli = start('serve', APP, '--port', '0', '--workers', '2');
  await cli.until(/worker \d+ listens/, 2);
  const port = (/listens on [\d.]+:(\d+)/.exec(cli.output()) as RegExpExecArray)[1];
  const url = `http://127.0.0.1:${port}`;
  const first = new Set<string>();
  await eventually(async () => {
    first.add(await ask(url));
    expect(first.size).toBe(2);
  });
  await fetch(`${url}/die`).catch(() => {});
  await cli.until(/worker \d+ listens/, 3);
  const before = cli.matches(/listens/).length;
  cli.child.kill('SIGHUP');
  const answers: string[] = [];
  while (cli.matches(/listens/).length < before + 2) answers.push(await ask(url));
  await eventually(async () => expect(first).not.toContain(await ask(url)));
  expect(answers.length).toBeGreaterThan(0);
  const slow = fetch(`${url}/slow`);
  await cli.until(/slow begins/);
  cli.child.kill('SIGTERM');
  expect((await slow).status).toBe(200);
  expect(await cli.exited).toEqual([null, 'SIGTERM']);
});

test('serve() with workers: one that is killed is replaced; health goes red before they stop accepting', {
  timeout: 60_000,
}, async () => {
  const program = startAny(WORKERS);
  await program.until(/all at \S+/);
  await program.until(/worker \d+ listens/, 2);
  const [, url] = /all at (\S+)/.exec(program.output()) as unknown as [string, string];
  const state = async () => JSON.parse(await ask(url)) as { pid: number; closing: boolean };
  const { pid } = await state();
  expect(pid).not.toBe(program.child.pid);
  await fetch(`${url}/die`).catch(() => {});
  await program.until(/worker \d+ ended \(SIGKILL\): starting another one/);
  await program.until(/worker \d+ listens/, 3);
  program.child.kill('SIGTERM');
  await eventually(async () => expect(await state()).toMatchObject({ closing: true }));
  expect(await program.exited).toEqual([null, 'SIGTERM']);
});

/** Asks again and again over one connection; ends with the first failure, or when it is told to. */
async function loop(url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      const outgoing = get(url, { agent }, async (incoming) => {
        let text = '';
        for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
        resolve(text);
      });
      outgoing.on('error', reject);
    });
  const state = { pid: Number(await ask()), answers: 0, failures: 0, wrong: 0 };
  let isOver = false;
  const run = async () => {
    while (!isOver) {
      try {
        if (Number(await ask()) === state.pid) state.answers++;
        else state.wrong++;
      } catch {
        state.failures++;
        isOver = true;
      }
    }
    agent.destroy();
  };
  const ended = run();
  const stop = () => {
    isOver = true;
    return ended;
  };
  return { state, stop };
}

test('a worker that is killed under load takes only its own requests along', { timeout: 60_000 }, async () => {
  const cli = start('serve', APP, '--port', '0', '--workers', '2');
  await cli.until(/worker \d+ listens/, 2);
  const [, port] = /listens on [\d.]+:(\d+)/.exec(cli.output()) as unknown as [string, string];
  const clients = await Promise.all(Array.from({ length: 10 }, () => loop(`http://127.0.0.1:${port}`)));
  const victim = clients[0]!.state.pid;
  const own = clients.filter(({ state }) => state.pid === victim);
  const others = clients.filter(({ state }) => state.pid !== victim);
  expect(others.length).toBeGreaterThan(0);
  const haveAnswers = (count: number) => () => {
    for (const { state } of others) expect(state.answers).toBeGreaterThan(count);
  };
  await eventually(haveAnswers(20));
  process.kill(victim, 'SIGKILL');
  await cli.until(/worker \d+ listens/, 3);
  await eventually(haveAnswers(Math.max(...others.map(({ state }) => state.answers)) + 20));
  await Promise.all(clients.map(({ stop }) => stop()));
  for (const { state } of own) expect(state).toMatchObject({ failures: 1, wrong: 0 });
  for (const { state } of others) expect(state).toMatchObject({ failures: 0, wrong: 0 });
  const next = await loop(`http://127.0.0.1:${port}`);
  expect(next.state.pid).not.toBe(victim);
  await next.stop();
});

test('a rolling restart under keep-alive load loses no request and serves none twice', {
  timeout: 60_000,
}, async () => {
  const cli = start('serve', APP, '--port', '0', '--workers', '2');
  await cli.until(/worker \d+ listens/, 2);
  const [, port] = /listens on [\d.]+:(\d+)/.exec(cli.output()) as unknown as [string, string];
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let asked = 0;
  let isOver = false;
  const answered: number[] = [];
  /** On a connection that had just been idle for too long: any client asks again, if its request was not served. */
  const turnedAway: number[] = [];
  const client = async () => {
    while (!isOver) {
      const id = asked++;
      const outgoing = get({ port, path: `/once?${id}`, agent });
      try {
        const [answer] = await once(outgoing, 'response');
        answer.resume();
        await once(answer, 'end');
        answered.push(id);
      } catch (error) {
        if (!outgoing.reusedSocket) throw error;
        turnedAway.push(id);
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  const more = (count: number) => eventually(() => expect(answered.length).toBeGreaterThanOrEqual(count));
  await more(50);
  cli.child.kill('SIGHUP');
  await cli.until(/worker \d+ ended \(SIGTERM\)/, 2);
  await more(answered.length + 50);
  isOver = true;
  await clients;
  agent.destroy();
  const served = cli.matches(/once\?(\d+)\./).map(([, id]) => Number(id));
  const inOrder = (ids: number[]) => ids.toSorted((a, b) => a - b);
  expect(inOrder([...answered, ...turnedAway])).toEqual(Array.from({ length: asked }, (_, id) => id));
  expect(inOrder(served)).toEqual(inOrder(answered));
});

test('the client whose connection is on its way to a worker that is killed is told, and does not wait for ever', {
  timeout: 60_000,
}, async () => {
  const cli = start('serve', APP, '--port', '0', '--workers', '2');
  await cli.until(/worker \d+ listens/, 2);
  const [, port] = /listens on [\d.]+:(\d+)/.exec(cli.output()) as unknown as [string, string];
  const url = `http://127.0.0.1:${port}`;
  const blocked = fetch(`${url}/block`).catch(() => 'cut');
  await cli.until(/block begins/);
  // Each worker is handed one connection at a time: the blocked one has one of these, and never takes it.
  const answers: string[] = [];
  const cut: unknown[] = [];
  const clients = Array.from({ length: 4 }, () =>
    ask(url).then(
      (pid) => answers.push(pid),
      (error) => cut.push(error),
    ),
  );
  await eventually(() => expect(answers).toHaveLength(3));
  const pids = cli.matches(/worker (\d+) listens/).map(([, pid]) => pid as string);
  const victim = pids.find((pid) => !answers.includes(pid)) as string;
  process.kill(Number(victim), 'SIGKILL');
  await Promise.all(clients);
  expect(await blocked).toBe('cut');
  expect(cut).toHaveLength(1);
  expect(answers).toHaveLength(3);
});

test.each([
  ['an unknown command', ['bake', 'bread'], 'Expected: serve FILE'],
  ['no file', ['serve'], 'Expected: serve FILE'],
  ['two files', ['serve', APP, APP], 'Expected: serve FILE'],
  ['a file that is not there', ['serve', '/not/there.ts'], 'There is no file /not/there.ts'],
  ['an unknown option', ['serve', APP, '--bogus'], "Unknown option '--bogus'"],
  ['a port that is none', ['serve', APP, '--port', ''], '--port must be a whole number from 0 to 65535, got ""'],
  ['a port beyond', ['serve', APP, '--port', '65536'], '--port must be a whole number from 0 to 65535, got "65536"'],
  ['no workers', ['serve', APP, '--workers', '0'], '--workers must be a whole number of at least 1, got "0"'],
])('%s: says what is wrong and how it is used', async (_, args, message) => {
  const cli = start(...args);
  expect(await cli.exited).toEqual([2, null]);
  expect(cli.output()).toContain(message);
  expect(cli.output()).toContain('Usage: npx @aiokit/http serve FILE');
});

test.each([1, 2])('a program that cannot start says why and ends with 1 (%i workers)', async (workers) => {
  const cli = start('serve', NO_APP, '--port', '0', '--workers', String(workers));
  expect(await cli.exited).toEqual([1, null]);
  expect(cli.output()).toContain(`${NO_APP} has no default export: export default app`);
});

test('serve() with workers of which none can start fails, and leaves nothing behind', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const program = startAny(TAKEN, String((taken.address() as AddressInfo).port));
  expect(await program.exited).toEqual([0, null]);
  expect(program.matches(/worker failed: EADDRINUSE/)).toHaveLength(2);
  expect(program.output()).toContain('first process failed: No worker has started: each has said why before it ended');
  taken.close();
});

test('--reload starts anew when a source has changed, also what could not start before; other files do not count', {
  timeout: 60_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-reload-'));
  try {
    const file = join(directory, 'app.mjs');
    await writeFile(file, 'throw new Error("not yet");');
    const cli = start('serve', file, '--port', '0', '--reload');
    await cli.until(/waiting for a change/);
    const write = (answer: string) => writeFile(file, `export default () => new Response('${answer}');`);
    await write('first');
    await cli.until(/worker \d+ listens/);
    const [, port] = /listens on [\d.]+:(\d+)/.exec(cli.output()) as unknown as [string, string];
    expect(await ask(`http://127.0.0.1:${port}`)).toBe('first');
    await writeFile(join(directory, 'server.log'), 'a line');
    await write('second');
    await eventually(async () => expect(await ask(`http://127.0.0.1:${port}`)).toBe('second'));
    expect(cli.output()).not.toContain('server.log');
    cli.child.kill('SIGTERM');
    expect(await cli.exited).toEqual([null, 'SIGTERM']);
  } finally {
    await rm(directory, { recursive: true });
  }
});
