import type {
  PostgresDatabase,
  PostgresDatabaseOptions,
  PostgresOptions,
  RedisDatabase,
  RedisOptions,
} from './services/index.ts';

/** Throw-away databases for one test, on servers that all test files of the run share. */
export interface Services {
  /** Creates an empty database, or a copy of a template, and drops it when the test is over. */
  postgres(options?: PostgresOptions & PostgresDatabaseOptions): Promise<PostgresDatabase>;
  /** Reserves an empty numbered database, and empties it when the test is over. */
  redis(options?: RedisOptions): Promise<RedisDatabase>;
}

/** Makes the services of one test, and gives back what it took from them. */
export class TestServices implements Services {
  private readonly taken: AsyncDisposable[] = [];
  private readonly outside: <R>(fn: () => Promise<R>) => Promise<R>;

  /** @param outside runs a function so that nothing of it counts as the test's: the servers outlive it. */
  constructor(outside: <R>(fn: () => Promise<R>) => Promise<R>) {
    this.outside = outside;
  }

  postgres(options: PostgresOptions & PostgresDatabaseOptions = {}): Promise<PostgresDatabase> {
    const { template, ...server } = options;
    return this.take(async () => {
      const { postgres } = await import('./services/index.ts');
      const started = await shared(`postgres ${JSON.stringify(server)}`, () =>
        postgres({ server: 'shared', ...server }),
      );
      return started.database(template === undefined ? {} : { template });
    });
  }

  redis(options: RedisOptions = {}): Promise<RedisDatabase> {
    return this.take(async () => {
      const { redis } = await import('./services/index.ts');
      const started = await shared(`redis ${JSON.stringify(options)}`, () => redis({ server: 'shared', ...options }));
      return started.database();
    });
  }

  /** Gives everything back, last taken first. */
  async close(): Promise<void> {
    for (const resource of this.taken.splice(0).reverse()) {
      await this.outside(async () => resource[Symbol.asyncDispose]());
    }
  }

  private async take<T extends AsyncDisposable>(make: () => Promise<T>): Promise<T> {
    const resource = await this.outside(make);
    this.taken.push(resource);
    return resource;
  }
}

/** Servers that this process has asked for; they end with it. */
const servers = new Map<string, Promise<unknown>>();

function shared<T>(key: string, start: () => Promise<T>): Promise<T> {
  let server = servers.get(key) as Promise<T> | undefined;
  if (server === undefined) {
    server = start();
    servers.set(key, server);
    server.catch(() => servers.delete(key));
  }
  return server;
}
