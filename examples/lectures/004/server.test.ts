import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '@aiokit/core';
import { expect, it } from 'vitest';
import { printed } from '../printed.ts';
import { main as blockingHandler } from './blocking-handler.ts';
import { main as c10k } from './c10k.ts';
import { main as threeWays } from './three-ways.ts';

it('row 40: three ways to the same news, and what each costs', async () => {
  const { lines } = await printed(threeWays);
  expect(lines).toEqual([
    'poll: first, second, third by 9 requests',
    'long polling: first, second, third by 6 requests',
    'WebSocket: first, second, third by 1 request',
  ]);
});

it('row 47: a handler that blocks holds up everybody else, a thread does not', async () => {
  const lines: string[] = [];
  await run(() => blockingHandler((line) => lines.push(line), 2e7), { handleSignals: false });
  expect(lines).toEqual([
    'in the handler',
    '  the report begins',
    '  the report is there',
    '  somebody else is served',
    'in a thread',
    '  the report begins',
    '  somebody else is served',
    '  the report is there',
  ]);
});

it('row 56: two processes answer behind one port, and SIGTERM lets a slow request finish', {
  timeout: 60_000,
}, async () => {
  const file = fileURLToPath(new URL('asgi.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@aiokit/source', file], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const ended = once(child, 'exit');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const { value: url } = await lines.next();
    const answerer = async () => {
      const response = await fetch(url, { headers: { connection: 'close' } });
      return ((await response.json()) as { 'answered by': number })['answered by'];
    };
    const pids = new Set<number>();
    await expect.poll(async () => pids.add(await answerer()).size, { timeout: 30_000 }).toBe(2);
    expect(pids).not.toContain(child.pid);

    const slow = fetch(`${url}/slow`);
    expect((await lines.next()).value).toBe('a slow one begins');
    child.kill('SIGTERM');
    expect((await slow).status).toBe(200);
    expect(await ended).toEqual([null, 'SIGTERM']);
    await expect(fetch(url)).rejects.toThrow();
  } finally {
    child.kill('SIGKILL');
  }
});

const CONNECTIONS = Number(process.env.AIOKIT_C10K ?? 200);

it('row 41: as many connections as wanted are held by one process, hear the news and are told goodbye', {
  timeout: 300_000,
}, async () => {
  const lines: string[] = [];
  await run(() => c10k((line) => lines.push(line.replace(/[\d.-]+ KiB/, '… KiB')), CONNECTIONS), {
    handleSignals: false,
  });
  const all = (kind: string) => [
    `${CONNECTIONS} ${kind} held by one process`,
    '  … KiB each',
    `  ${CONNECTIONS} heard the news`,
    `  ${CONNECTIONS} were told goodbye`,
  ];
  expect(lines).toEqual([...all('long polls'), ...all('WebSockets')]);
});
