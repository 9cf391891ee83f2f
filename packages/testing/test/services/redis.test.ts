import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { redis } from '@aiokit/testing/services';
import { describe, expect, it } from 'vitest';
import { isRunning, stateOf } from './support/processes.ts';
import { connected } from './support/redis.ts';

describe('redis()', () => {
  it('starts a server of its own on a port of 127.0.0.1', async () => {
    await using server = await redis();
    expect(server.port).not.toBe(6379);
    await using client = await connected(server.url);
    expect(await client.info('server')).toContain(`redis_version:${server.version}`);
    expect(await client.info('server')).toContain(`process_id:${server.pid}`);
  });

  it('answers on its unix socket too', async () => {
    await using server = await redis();
    await using client = await connected(server.socket);
    expect(await client.ping()).toBe('PONG');
  });

  it('writes nothing to disk unless asked to', async () => {
    await using server = await redis();
    await using client = await connected(server.url);
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'no']);
  });

  it('takes directives of redis.conf, also several of one name', async () => {
    await using server = await redis({
      settings: { maxmemory: '64mb', user: ['bob on >secret ~* +@all', 'eve on >other ~eve:* +get'] },
    });
    await using bob = await connected(server.url, { username: 'bob', password: 'secret' });
    expect(await bob.config('GET', 'maxmemory')).toEqual(['maxmemory', String(64 * 1024 ** 2)]);
    await using eve = await connected(server.url, { username: 'eve', password: 'other', enableReadyCheck: false });
    await expect(eve.get('bob:1')).rejects.toThrow(/NOPERM/);
  });

  it('puts a password into the url', async () => {
    await using server = await redis({ settings: { requirepass: 'p@ss/word' } });
    await using client = await connected(server.url);
    expect(await client.ping()).toBe('PONG');
    await using _database = await server.database();
  });

  it('speaks TLS, and nothing else', async () => {
    await using server = await redis({ tls: true });
    await using client = await connected(server.url, { tls: { ca: server.ca } });
    expect(await client.ping()).toBe('PONG');
    await expect(connected(server.url, { tls: {} })).rejects.toThrow();
    await expect(connected(server.url.replace('rediss', 'redis'))).rejects.toThrow();
    await using _database = await server.database();
  });

  it('says what a bad option is', async () => {
    await expect(redis({ server: 'mine' as 'private' })).rejects.toThrow(
      `server must be 'private' or 'shared', received "mine".`,
    );
  });

  it('shows the log of a server that does not start', async () => {
    await expect(redis({ settings: { maxmemory: 'plenty' } })).rejects.toThrow(
      /^Redis 7\.[\d.]+ \(.*redis-server\) ended while starting\. Its log ends with:\n[\s\S]*maxmemory plenty/,
    );
  });
});

describe('isolation in a Redis', () => {
  it('reserves a numbered database for each, also for askers at the same time', async () => {
    await using server = await redis();
    const databases = await Promise.all(Array.from({ length: 20 }, () => server.database()));
    expect(new Set(databases.map((database) => database.index)).size).toBe(20);
    expect(databases.every((database) => database.url === server.url.replace(/0$/, String(database.index)))).toBe(true);
  });

  it('empties a database when it is given back, and hands it out again', async () => {
    await using server = await redis();
    const first = await server.database();
    {
      await using client = await connected(first.url);
      await client.set('key', 'value');
    }
    await first[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    await using second = await server.database();
    expect(second.index).toBe(first.index);
    await using client = await connected(second.url);
    expect(await client.dbsize()).toBe(0);
  });

  it('never hands out a database that somebody uses unasked', async () => {
    await using server = await redis();
    await using client = await connected(`redis://127.0.0.1:${server.port}/1`);
    await client.set('mine', '1');
    await using database = await server.database();
    expect(database.index).toBe(2);
  });

  it('says so when all are in use', async () => {
    await using server = await redis({ settings: { databases: 2 } });
    await using _one = await server.database();
    await expect(server.database()).rejects.toThrow(
      `All databases of the Redis at 127.0.0.1:${server.port} are in use: dispose of those that are done with, or give it more with the setting "databases".`,
    );
  });

  it('gives each asker another prefix', async () => {
    await using server = await redis();
    expect(server.prefix()).toMatch(/^aiokit:[0-9a-f]{12}:$/);
    expect(server.prefix()).not.toBe(server.prefix());
  });

  it('leaves no connection behind', async () => {
    await using server = await redis();
    await using _database = await server.database();
    await using client = await connected(server.url);
    expect(
      String(await client.client('LIST'))
        .trim()
        .split('\n'),
    ).toHaveLength(1);
  });
});

describe('control of a Redis', () => {
  it('kill() ends it at once, and its port is free', async () => {
    await using server = await redis();
    const pid = server.pid as number;
    await using client = await connected(server.url);
    const blocked = client.blpop('list', 0).catch((error: Error) => error.message);
    await server.kill();
    await server.kill();
    expect(isRunning(pid)).toBe(false);
    expect(await blocked).toMatch(/closed|max retries/i);
    await expect(connected(server.url)).rejects.toThrow();
  });

  it('restart() after kill() has what the append-only file holds', async () => {
    await using server = await redis({ settings: { appendonly: 'yes', appendfsync: 'always' } });
    {
      await using client = await connected(server.url);
      await client.set('key', 'value');
    }
    await server.kill();
    await server.restart();
    await using client = await connected(server.url);
    expect(await client.get('key')).toBe('value');
  });

  it('pause() stops answers until resume()', async () => {
    await using server = await redis();
    await using client = await connected(server.url);
    await server.pause();
    expect(stateOf(server.pid as number)).toBe('T');
    const socket = connect(server.port, server.host);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
    const answer = client.ping();
    await server.resume();
    expect(await answer).toBe('PONG');
  });

  it('stop() can be undone by restart(), also from a paused state', async () => {
    await using server = await redis();
    await server.pause();
    await server.stop();
    await server.stop();
    expect(server.pid).toBeUndefined();
    await server.restart();
    await using client = await connected(server.url);
    expect(await client.ping()).toBe('PONG');
  });

  it.each(['running', 'paused', 'killed'] as const)(
    'disposing of a %s server leaves no process and no file',
    async (state) => {
      const server = await redis();
      const pid = server.pid as number;
      const directory = dirname(server.socket);
      if (state === 'paused') await server.pause();
      if (state === 'killed') await server.kill();
      await server[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      expect(isRunning(pid)).toBe(false);
      expect(existsSync(directory)).toBe(false);
      await expect(server.restart()).rejects.toThrow(/was disposed of: its data are gone/);
    },
  );
});
