/** Fetches every package.json of the upstream server, keeps it in Redis and saves what it says in Postgres. */
import { asCompleted, TimeoutError } from '@aiokit/core';
import { ClientError, ClientSession } from '@aiokit/http';
import { Pool } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import type { Defer } from './closing.ts';
import { type Manifest, save } from './inventory.ts';
import type { Services } from './services.ts';

/** Where a crawler finds everything. */
export interface Places extends Services {
  /** The upstream server's URL. */
  readonly upstream: string;
}

/** What a crawl works with. */
export interface Crawler {
  /** Its `baseUrl` is the upstream server. */
  readonly session: ClientSession;
  readonly redis: Redis;
  readonly pool: Pool;
}

/** How a crawl went. */
export interface Crawl {
  total: number;
  /** How many came from Redis. */
  cached: number;
  /** How many answers did not come in time, and were asked for again. */
  late: number;
  saved: number;
  /** How many were no package, such as a folder's `{ "type": "module" }`. */
  skipped: number;
  /** What the upstream server did not give, whatever we tried. */
  readonly missing: string[];
  /** ms */
  duration: number;
}

/** How many packages are worked on at once. */
const CONCURRENCY = 24;
/** How many ms an answer may take, and how often one is asked for that did not come. */
const PATIENCE = 500;
const TRIES = 3;
/** How many seconds a package.json stays in Redis. */
const FRESH = 3_600;

/** Opens the connections of a crawler; the servers know them by `name`. */
export function openCrawler({ databaseUrl, redisUrl, upstream, name }: Places, defer: Defer): Crawler {
  const session = new ClientSession({
    baseUrl: upstream,
    headers: { 'user-agent': name },
    raiseForStatus: true,
    retry: { limit: 3, delay: 50 },
  });
  const redis = new Redis(redisUrl, { keyPrefix: `${name}:`, connectionName: name });
  const pool = new Pool({ connectionString: databaseUrl, application_name: name, max: 8 });
  defer(session);
  defer(() => redis.disconnect());
  defer(() => pool.end());
  return { session, redis, pool };
}

/**
 * Crawls once.
 *
 * @param onProgress is told after each package
 */
export async function crawl(crawler: Crawler, onProgress: (done: number, total: number) => void): Promise<Crawl> {
  const started = performance.now();
  const paths = await crawler.session.get('/packages').json<string[]>();
  const result: Crawl = { total: paths.length, cached: 0, late: 0, saved: 0, skipped: 0, missing: [], duration: 0 };

  const visits = paths.map((path) => () => visit(crawler, path, result));
  let done = 0;
  for await (const _ of asCompleted(visits, { limit: CONCURRENCY })) onProgress(++done, paths.length);

  result.duration = performance.now() - started;
  return result;
}

async function visit({ session, redis, pool }: Crawler, path: string, result: Crawl): Promise<void> {
  let text = await redis.get(path);
  if (text !== null) result.cached++;
  else {
    text = await download(session, path, result);
    if (text === null) return;
    await redis.set(path, text, 'EX', FRESH);
  }
  if (await save(pool, JSON.parse(text) as Manifest)) result.saved++;
  else result.skipped++;
}

/** An answer that does not come is asked for again here; one that is a failure, by the session. */
async function download(session: ClientSession, path: string, result: Crawl): Promise<string | null> {
  for (let tries = 1; tries <= TRIES; tries++) {
    try {
      return await session.get(`/packages/${encodeURIComponent(path)}`, { timeout: { sockRead: PATIENCE } }).text();
    } catch (error) {
      if (error instanceof TimeoutError) result.late++;
      else if (error instanceof ClientError) break;
      else throw error;
    }
  }
  result.missing.push(path);
  return null;
}
