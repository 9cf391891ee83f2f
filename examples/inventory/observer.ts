/** The servers' own view of us, through drivers that know nothing of aiokit. */
import { TimeoutError, timeout, until } from '@aiokit/core';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Places } from './crawl.ts';

/** What a server may take to notice something, in ms. */
const PATIENCE = 10_000;

export class Observer implements AsyncDisposable {
  readonly redis: Redis;
  private readonly postgres: pg.Client;
  private readonly upstream: string;

  constructor({ databaseUrl, redisUrl, upstream, name }: Places) {
    this.postgres = new pg.Client({ connectionString: databaseUrl });
    this.redis = new Redis(redisUrl, { keyPrefix: `${name}:` });
    this.upstream = upstream;
  }

  async connect(): Promise<this> {
    await this.postgres.connect();
    return this;
  }

  /** How many statements with this text Postgres is working on. */
  async running(text: string): Promise<number> {
    return this.count(
      `select count(*)::int from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and query like '%' || $1 || '%'`,
      text,
    );
  }

  /** How many packages are committed. */
  packages(): Promise<number> {
    return this.count('select count(*)::int from packages');
  }

  /** How many clients of this name wait in a blocking command of Redis. */
  async blocked(name: string): Promise<number> {
    return (await this.redisClients(name)).filter((client) => /\bflags=\w*b/.test(client)).length;
  }

  /** How many connections of this name the three servers have. */
  async connections(name: string): Promise<number> {
    const postgres = await this.count('select count(*)::int from pg_stat_activity where application_name = $1', name);
    const redis = (await this.redisClients(name)).length;
    const upstream = (await (await fetch(`${this.upstream}/connections/${name}`)).json()) as number;
    return postgres + redis + upstream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    await this.postgres.end();
  }

  private async count(query: string, ...values: unknown[]): Promise<number> {
    const { rows } = await this.postgres.query<{ count: number }>(query, values);
    return rows[0]?.count as number;
  }

  private async redisClients(name: string): Promise<string[]> {
    const list = (await this.redis.client('LIST')) as string;
    return list.split('\n').filter((client) => client.includes(` name=${name} `));
  }
}

/** Asks again and again, and returns after how many ms the answer is yes. */
export async function eventually(what: string, isTrue: () => Promise<boolean>): Promise<number> {
  const started = performance.now();
  try {
    await timeout(PATIENCE, async () => {
      // The observer's drivers know no tasks: `until` lets a cancel in.
      while (!(await until(isTrue())));
    });
  } catch (error) {
    if (error instanceof TimeoutError) throw new Error(`Not within ${PATIENCE} ms: ${what}`);
    throw error;
  }
  return performance.now() - started;
}
