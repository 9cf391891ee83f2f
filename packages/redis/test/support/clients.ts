import { type RedisServer, redis as startServer } from '@aiokit/testing/services';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { Redis, type RedisOptions } from '../../src/index.ts';

/** A server for the whole test file, emptied after each test, and clients that end with their test. */
export function useServer(settings?: Parameters<typeof startServer>[0]): Fixture {
  const fixture = new Fixture();
  beforeAll(async () => {
    fixture.server = await startServer({ server: 'private', ...settings });
  });
  afterEach(() => fixture.endTest());
  afterAll(() => fixture.server[Symbol.asyncDispose]());
  return fixture;
}

class Fixture {
  server!: RedisServer;
  private clients: Redis[] = [];
  private outsider: Redis | null = null;

  client(options: RedisOptions = {}): Redis {
    const { host, port } = this.server;
    const client = new Redis({ host, port, ...options });
    client.on('error', () => {});
    this.clients.push(client);
    return client;
  }

  /** A client that no test touches otherwise: to look at the server. */
  get admin(): Redis {
    if (this.outsider === null) {
      this.outsider = new Redis(this.server.url, { retryStrategy: () => 20 });
      this.outsider.on('error', () => {});
    }
    return this.outsider;
  }

  /** How many of the server's connections are blocked. */
  async blocked(): Promise<number> {
    return Number(/blocked_clients:(\d+)/.exec(await this.admin.info('clients'))?.[1]);
  }

  /** Waits until so many connections are blocked. */
  async untilBlocked(count: number): Promise<void> {
    await until(async () => (await this.blocked()) === count, `${count} blocked connections`);
  }

  /** How many connections are subscribed to the channel. */
  async subscribed(channel: string): Promise<number> {
    return Number(((await this.admin.pubsub('NUMSUB', channel)) as [string, number])[1]);
  }

  /** How many connections the server has, besides the one that asks. */
  async connections(): Promise<number> {
    return ((await this.admin.client('LIST')) as string).trim().split('\n').length - 1;
  }

  async endTest(): Promise<void> {
    for (const client of this.clients.splice(0)) client.disconnect();
    const { admin } = this;
    await admin.flushall().catch(() => {});
    admin.disconnect();
    this.outsider = null;
  }
}

/** Asks until it holds; a test that waits in vain says for what. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !(await condition()); ) {
    if (Date.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
