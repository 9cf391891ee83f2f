import { postgres, redis } from '@aiokit/testing/services';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { query } from './support/pg.ts';
import { connected } from './support/redis.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('AIOKIT_TEST_POSTGRES_URL', () => {
  it('leads to a database of our own on the server it names, dropped at the end', async () => {
    await using host = await postgres({ server: 'private' });
    vi.stubEnv('AIOKIT_TEST_POSTGRES_URL', host.url);
    const databases = "SELECT count(*)::int AS n FROM pg_database WHERE datname LIKE 'aiokit%'";
    {
      await using server = await postgres();
      expect(server.port).toBe(host.port);
      expect(server.version).toBe(host.version);
      await using _other = await server.database();
      expect(new URL(server.url).pathname).toMatch(/^\/aiokit_/);
      expect(await query(server.url, databases)).toEqual([{ n: 2 }]);
      await server.database(); // forgotten
      await expect(server.kill()).rejects.toThrow(
        "kill(): this PostgreSQL is not this test's alone: AIOKIT_TEST_POSTGRES_URL names it. Start one that is: postgres({ server: 'private' }).",
      );
    }
    expect(await query(host.url, databases)).toEqual([{ n: 0 }]);
  });

  it.each([{ server: 'private' }, { settings: { max_connections: 5 } }, { version: 15 }, { tls: true }] as const)(
    'is not used where it cannot give what is asked for: %j',
    async (options) => {
      vi.stubEnv('AIOKIT_TEST_POSTGRES_URL', 'postgresql://nobody@127.0.0.1:1/x');
      await using server = await postgres(options);
      expect(server.pid).toBeGreaterThan(0);
    },
  );

  it('is named, without its password, when it leads nowhere', async () => {
    vi.stubEnv('AIOKIT_TEST_POSTGRES_URL', 'postgresql://me:secret@127.0.0.1:1/x');
    await expect(postgres()).rejects.toThrow(
      'The PostgreSQL at postgresql://me:***@127.0.0.1:1/x cannot be used (AIOKIT_TEST_POSTGRES_URL names it): connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('must be a PostgreSQL URL', async () => {
    vi.stubEnv('AIOKIT_TEST_POSTGRES_URL', 'mysql://me:secret@127.0.0.1/x');
    await expect(postgres()).rejects.toThrow(
      'AIOKIT_TEST_POSTGRES_URL must be a URL that begins with postgres:// or postgresql://, received "mysql://me:***@127.0.0.1/x".',
    );
  });

  it("is not DATABASE_URL, which is the application's", async () => {
    vi.stubEnv('DATABASE_URL', 'postgresql://nobody@127.0.0.1:1/x');
    await using server = await postgres();
    expect(server.pid).toBeGreaterThan(0);
  });
});

describe('AIOKIT_TEST_REDIS_URL', () => {
  it('leads to a numbered database of our own on the server it names, emptied at the end', async () => {
    await using host = await redis({ server: 'private', settings: { requirepass: 'secret' } });
    vi.stubEnv('AIOKIT_TEST_REDIS_URL', host.url);
    await using admin = await connected(host.url);
    {
      await using server = await redis();
      expect(server.port).toBe(host.port);
      expect(server.url).toBe(host.url.replace(/0$/, '1'));
      await using other = await server.database();
      expect(other.index).toBe(2);
      await using client = await connected(server.url);
      await client.set('key', 'value');
      await expect(server.pause()).rejects.toThrow(
        "pause(): this Redis is not this test's alone: AIOKIT_TEST_REDIS_URL names it. Start one that is: redis({ server: 'private' }).",
      );
    }
    expect(await admin.info('keyspace')).toBe('# Keyspace\r\n');
  });

  it('is named, without its password, when it leads nowhere', async () => {
    vi.stubEnv('AIOKIT_TEST_REDIS_URL', 'redis://:secret@127.0.0.1:1');
    await expect(redis()).rejects.toThrow(
      'The Redis at redis://:***@127.0.0.1:1 cannot be used (AIOKIT_TEST_REDIS_URL names it): connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('must be a Redis URL', async () => {
    vi.stubEnv('AIOKIT_TEST_REDIS_URL', 'localhost:6379');
    await expect(redis()).rejects.toThrow(
      'AIOKIT_TEST_REDIS_URL must be a URL that begins with redis:// or rediss://, received "localhost:6379".',
    );
  });
});

describe('a machine without servers', () => {
  it('is told what to install', async () => {
    vi.stubEnv('PATH', '');
    vi.stubEnv('REDIS_URL', 'redis://127.0.0.1:1');
    const missing = import('../../src/services/install-advice.ts');
    expect((await missing).installAdvice('redis')).toMatch(
      /^Do one of these:\n {2}- .*redis.*\n {2}- or start docker\n {2}- or name a server in which tests may create and drop databases: AIOKIT_TEST_REDIS_URL=redis:\/\/localhost:6379\n\(REDIS_URL is set, but not used/,
    );
  });
});
