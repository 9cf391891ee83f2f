/** The example on the first page of the README, as it is there, against servers. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { postgres, redis } from '@aiokit/testing/services';
import { Redis } from 'ioredis';
import pg from 'pg';
import { expect, it } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const [, example = ''] = /^## Fifteen lines\n\n```ts\n([\s\S]*?)```$/m.exec(readme) ?? [];

/** Keeps the process, with its connections, after the example has failed as it should: so we see what the cancel did, not the exit. */
const KEEP = `data:text/javascript,process.once('uncaughtException', (error) => console.log(error.name));`;

it('has fifteen lines of code', () => {
  const code = example.split('\n').filter((line) => line !== '' && !line.startsWith('import'));
  expect(code.length).toBeLessThanOrEqual(15);
});

it('stops all three on their servers when the time is up', { timeout: 60_000 }, async () => {
  await using postgresServer = await postgres({ server: 'private' });
  await using redisServer = await redis({ server: 'private' });
  let requests = 0;
  const slow = createServer((request) => {
    requests++;
    request.socket.once('close', () => requests--);
  }).listen(0, '127.0.0.1');
  const observer = new pg.Client({ connectionString: postgresServer.url });
  await observer.connect();
  const cache = new Redis(redisServer.url);
  let connection = 0;
  /** What goes on at the servers for the example: its connection, once it is seen, is known by its process. */
  const goingOn = async () => {
    const theirs = `select pid, state from pg_stat_activity where query = 'select pg_sleep(30)' or pid = $1`;
    const { rows } = await observer.query(theirs, [connection]);
    connection = rows[0]?.pid ?? 0;
    const clients = (await cache.client('LIST')) as string;
    return { query: rows[0]?.state as unknown, blocked: / flags=\w*b/.test(clients), requests };
  };

  const { port } = slow.address() as AddressInfo;
  const program = example
    .replace('https://example.com/slow', `http://127.0.0.1:${port}/slow`)
    .replace('new Redis()', `new Redis('${redisServer.url}')`);
  const child = spawn(
    process.execPath,
    ['--conditions=@aiokit/source', '--import', KEEP, '--input-type=module-typescript', '--eval', program],
    {
      cwd: import.meta.dirname,
      env: { ...process.env, PGHOST: postgresServer.host, PGPORT: String(postgresServer.port), PGUSER: 'postgres' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  try {
    await expect.poll(goingOn, { timeout: 20_000 }).toEqual({ query: 'active', blocked: true, requests: 1 });
    for await (const printed of child.stdout) {
      expect(String(printed)).toBe('TimeoutError\n');
      break;
    }
    await expect.poll(goingOn).toEqual({ query: 'idle', blocked: false, requests: 0 });
    expect(child.exitCode).toBe(null);
  } finally {
    child.kill();
    cache.disconnect();
    await observer.end();
    slow.close();
  }
});
