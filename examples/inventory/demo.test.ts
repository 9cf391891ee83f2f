/** The main job as its users start it: a process, what it prints, how it ends, and what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { postgres, redis } from '@aiokit/testing/services';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'examples/inventory/main.ts');
const CHECK_NODE = join(ROOT, 'scripts/check-node.mjs');
const NOBODY_LISTENS = '127.0.0.1:1';

let postgresServer: Awaited<ReturnType<typeof postgres>>;
let redisServer: Awaited<ReturnType<typeof redis>>;
let given: { DATABASE_URL: string; REDIS_URL: string };

beforeAll(async () => {
  [postgresServer, redisServer] = await Promise.all([postgres({ server: 'private' }), redis({ server: 'private' })]);
  given = { DATABASE_URL: postgresServer.url, REDIS_URL: redisServer.url };
});

afterAll(async () => {
  await Promise.all([postgresServer, redisServer].map((server) => server?.[Symbol.asyncDispose]()));
});

describe('npm run demo', { timeout: 60_000 }, () => {
  it('crawls, reports and proves its promise, on servers of its own', async () => {
    const { output, errors, status } = await demo({ args: ['--packages', '60'] });
    expect(errors).toBe('');
    expect(output).toMatch(/PostgreSQL +\d+\.\d+ on port \d+, private/);
    expect(output).toMatch(/\b60 in \d+\.\d s, 0 of them from Redis: \d+ saved/);
    expect(output).toMatch(/\b60 in \d+\.\d s, [1-9]\d of them from Redis: \d+ saved/);
    expect(output).toMatch(/GET http:\/\/127\.0\.0\.1:\d+\/report\n +licence +packages\n +MIT +\d+\n/);
    expect(output).toMatch(/a client leaves during pg_sleep\(30\) +\d+ +query gone from pg_stat_activity/);
    expect(output).toMatch(/a blocked BLPOP is cancelled +\d+ +unblocked in CLIENT LIST; 100 elements .* 0 lost/);
    expect(output).toMatch(
      /SIGINT in the middle of a crawl +\d+ +exit code 130; [1-9]\d* packages saved, 0 half-written; no connection left/,
    );
    expect(status).toBe(0);
  });

  it('leaves nothing on servers that it was given', async () => {
    const { errors, status } = await demo({ args: ['--packages', '12'], environment: given });
    expect({ errors, status }).toEqual({ errors: '', status: 0 });
    expect(await leftBehind()).toEqual({ databases: [], keys: [], sessions: 0 });
  });

  it.each(['A crawl every second', 'Cancelled in the middle'])(
    'ends at once when it is interrupted during "%s"',
    async (step) => {
      const { output, errors, status } = await demo({
        args: ['--packages', '20'],
        environment: given,
        whileRunning: async (child) => {
          await outputOf(child, step);
          child.kill('SIGINT');
        },
      });
      expect(output.trimEnd().split('\n').at(-1)).toContain(step);
      expect({ errors, status }).toEqual({ errors: '', status: 'SIGINT' });
      expect(await leftBehind()).toEqual({ databases: [], keys: [], sessions: 0 });
    },
  );

  it('says which port is taken', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as { port: number };
    const { errors, status } = await demo({ args: ['--port', String(port)], environment: given });
    occupant.close();
    expect(errors).toMatch(new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port}: another program .* listens there`));
    expect(status).toBe(1);
    expect(await leftBehind()).toEqual({ databases: [], keys: [], sessions: 0 });
  });

  it('says which server cannot be reached, without its password', async () => {
    const database = await demo({ environment: { DATABASE_URL: `postgres://me:secret@${NOBODY_LISTENS}/x` } });
    expect(database).toMatchObject({
      errors: 'DATABASE_URL names postgres://127.0.0.1:1/x, which cannot be used: connect ECONNREFUSED 127.0.0.1:1\n',
      status: 1,
    });
    const cache = await demo({ environment: { ...given, REDIS_URL: `redis://:secret@${NOBODY_LISTENS}` } });
    expect(cache).toMatchObject({
      errors: 'REDIS_URL names redis://127.0.0.1:1, which cannot be used: connect ECONNREFUSED 127.0.0.1:1\n',
      status: 1,
    });
    expect(await leftBehind()).toEqual({ databases: [], keys: [], sessions: 0 });
  });

  it('says what to install on a machine without Redis', async () => {
    const hideRedis = `
      import { promises } from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { access } = promises;
      promises.access = async (path, mode) => {
        if (/(redis|valkey)-server$/.test(path)) throw new Error('hidden');
        return access(path, mode);
      };
      syncBuiltinESMExports();`;
    const { errors, status } = await demo({
      node: ['--import', moduleOf(hideRedis)],
      environment: { DATABASE_URL: given.DATABASE_URL, DOCKER_HOST: `tcp://${NOBODY_LISTENS}` },
    });
    expect(errors).toMatch(/^No Redis was found on this machine\. Do one of these:\n {2}- .*redis/);
    expect(errors).toContain('REDIS_URL may name one');
    expect(status).toBe(1);
  });

  it('says what it takes, when it is asked for something else', async () => {
    expect((await demo({ args: ['--pakages', '3'] })).errors).toMatch(/^Unknown option '--pakages'[\s\S]*--packages/);
    expect((await demo({ args: ['--port', 'http'] })).errors).toBe(
      '--port must be an integer from 0 to 65535, got "http".\n',
    );
  });
});

describe('what runs before every script', () => {
  it('asks for a newer Node', async () => {
    const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } });`;
    const { errors, status } = await runNode(['--import', moduleOf(pretend), CHECK_NODE]);
    expect(errors).toMatch(/^Node too old: aiokit needs Node >=22[\s\S]*npm ci/);
    expect(status).toBe(1);
  });

  it('asks for npm ci where nothing is installed', async () => {
    const checkout = await mkdtemp(join(tmpdir(), 'aiokit-checkout-'));
    for (const file of ['scripts/check-node.mjs', 'packages/core/package.json']) {
      await cp(join(ROOT, file), join(checkout, file));
    }
    const { errors, status } = await runNode([join(checkout, 'scripts/check-node.mjs')]);
    await rm(checkout, { recursive: true });
    expect({ errors, status }).toEqual({ errors: 'Nothing is installed yet: run `npm ci` first.\n', status: 1 });
  });
});

interface Run {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of Node itself. */
  readonly node?: readonly string[];
  readonly whileRunning?: (child: ChildProcess) => Promise<void>;
}

function demo({ args = [], environment = {}, node = [], whileRunning }: Run) {
  const { DATABASE_URL, REDIS_URL, PORT, ...rest } = process.env;
  const command = ['--conditions=@aiokit/source', ...node, MAIN, ...args];
  return runNode(command, { ...rest, ...environment }, whileRunning);
}

async function runNode(
  args: readonly string[],
  environment = process.env,
  whileRunning?: (child: ChildProcess) => Promise<void>,
) {
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  await whileRunning?.(child);
  const [output, errors] = await printed;
  const [status, signal] = await ended;
  return { output, errors, status: status ?? signal };
}

/** Resolves when the process has printed this. */
async function outputOf(child: ChildProcess, wanted: string): Promise<void> {
  let output = '';
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk;
      if (output.includes(wanted)) resolve();
    });
  });
}

/** What the demo has left on the servers that it was given. */
async function leftBehind() {
  const client = new pg.Client({ connectionString: given.DATABASE_URL });
  const cache = new Redis(given.REDIS_URL);
  try {
    await client.connect();
    const databases = await client.query(`select datname from pg_database where datname like 'inventory%'`);
    const sessions = await client.query(
      `select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    );
    return { databases: databases.rows, keys: await cache.keys('*'), sessions: sessions.rowCount };
  } finally {
    cache.disconnect();
    await client.end();
  }
}

function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
