/** Where Postgres and Redis come from: servers that the environment names, else private ones that end with the demo. */
import { randomBytes } from 'node:crypto';
import { timeout } from '@aiokit/core';
import { Client } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import { postgres, redis } from '@aiokit/testing/services';
import type { Defer } from './closing.ts';
import { Problem, problemIfFails } from './problem.ts';
import { line } from './terminal.ts';

/** What a program has to know to reach them. */
export interface Services {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** The name of everything that is this run's on a server: its database, its keys, its connections begin with it. */
  readonly name: string;
}

/** How long a named server may take to answer, in ms. */
const PATIENCE = 5_000;

/**
 * @param defer is given what is to be removed or ended
 * @throws {Problem} when a server cannot be reached, or none can be found
 */
export async function startServices(environment: NodeJS.ProcessEnv, defer: Defer): Promise<Services> {
  const name = `inventory_${randomBytes(4).toString('hex')}`;
  return {
    databaseUrl: await startPostgres(environment.DATABASE_URL, name, defer),
    redisUrl: await startRedis(environment.REDIS_URL, name, defer),
    name,
  };
}

async function startPostgres(url: string | undefined, database: string, defer: Defer): Promise<string> {
  if (url) {
    line(`PostgreSQL    DATABASE_URL, in the database ${database}`);
    return ownDatabase(url, database, defer);
  }
  const server = defer(await problemIfFails('', postgres, 'For the demo, DATABASE_URL may name one, too.'));
  line(`PostgreSQL    ${server.version} on port ${server.port}, private, ends with the demo`);
  return server.url;
}

async function startRedis(url: string | undefined, prefix: string, defer: Defer): Promise<string> {
  if (url) {
    line(`Redis         REDIS_URL, with the prefix ${prefix}`);
    return ownKeys(url, prefix, defer);
  }
  const server = defer(await problemIfFails('', redis, 'For the demo, REDIS_URL may name one, too.'));
  line(`Redis         ${server.version} on port ${server.port}, private, ends with the demo`);
  return server.url;
}

/** Creates a database on a server that others use too; it is dropped at the end. */
async function ownDatabase(serverUrl: string, name: string, defer: Defer): Promise<string> {
  const url = parseUrl('DATABASE_URL', serverUrl, ['postgres:', 'postgresql:']);
  const execute = async (statement: string) => {
    const client = new Client({ connectionString: serverUrl });
    try {
      await client.connect();
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  await problemIfFails(`DATABASE_URL names ${shown(url)}, which cannot be used: `, () =>
    timeout(PATIENCE, () => execute(`create database ${name}`)),
  );
  defer(() => execute(`drop database if exists ${name} with (force)`));
  url.pathname = `/${name}`;
  return url.href;
}

/** Looks whether the server answers; the keys below the prefix are removed at the end. */
async function ownKeys(serverUrl: string, prefix: string, defer: Defer): Promise<string> {
  const url = parseUrl('REDIS_URL', serverUrl, ['redis:', 'rediss:']);
  const connected = async (body: (client: Redis) => Promise<unknown>) => {
    const client = new Redis(serverUrl, { retryStrategy: () => null });
    // A command says only that the connection was closed; why comes as an event.
    let reason: unknown;
    client.on('error', (error) => (reason = error));
    try {
      await body(client);
    } catch (error) {
      throw reason ?? error;
    } finally {
      client.disconnect();
    }
  };
  await problemIfFails(`REDIS_URL names ${shown(url)}, which cannot be used: `, () =>
    timeout(PATIENCE, () => connected((client) => client.ping())),
  );
  defer(() =>
    connected(async (client) => {
      for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
        if (keys.length > 0) await client.unlink(keys);
      }
    }),
  );
  return serverUrl;
}

function parseUrl(variable: string, text: string, protocols: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && protocols.includes(url.protocol)) return url;
  throw new Problem(`${variable} must be a URL that begins with ${protocols.join('// or ')}//.`);
}

/** Without the password. */
function shown({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
