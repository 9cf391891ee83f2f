import { readdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { postgres, redis } from '@aiokit/testing/services';
import { describe, expect, it } from 'vitest';
import { eventually } from './support/eventually.ts';
import { forked } from './support/fork.ts';
import { query } from './support/pg.ts';
import { connected } from './support/redis.ts';

interface Heard {
  readonly postgres: { readonly port: number; readonly url: string; readonly database: string };
  readonly redis: { readonly port: number; readonly url: string };
}

const distinct = (values: readonly unknown[]) => new Set(values).size;

describe('a shared server', () => {
  it('is one for all files of a run, with databases for each, and ends with the run', async () => {
    await using runner = forked('runner.ts');
    const heard = await runner.message<Heard[]>();
    expect(heard).toHaveLength(4);
    expect(distinct(heard.map((file) => file.postgres.port))).toBe(1);
    expect(distinct(heard.map((file) => file.redis.port))).toBe(1);
    expect(distinct(heard.flatMap((file) => [new URL(file.postgres.url).pathname, `/${file.postgres.database}`]))).toBe(
      8,
    );
    // Three files at once have three numbers; the fourth gets one that was given back.
    expect(distinct(heard.slice(0, 3).map((file) => file.redis.url))).toBe(3);

    const [first] = heard as [Heard];
    const admin = first.postgres.url.replace(/[^/]*$/, 'postgres');
    const ours = "SELECT datname FROM pg_database WHERE datname LIKE 'aiokit%'";
    expect(await query(admin, ours)).toEqual([]);

    const records = () =>
      readdirSync(join(tmpdir(), `aiokit-services-${userInfo().uid}`)).filter((name) =>
        name.startsWith(`run-${runner.process.pid}-`),
      );
    expect(records()).toHaveLength(2);
    await runner.end('SIGKILL');
    await eventually(records).toEqual([]);
    await expect(query(admin, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    await expect(connected(first.redis.url)).rejects.toThrow();
  });

  it('is found again in the same process, and another one for other options', async () => {
    await using first = await redis({ server: 'shared' });
    await using second = await redis({ server: 'shared' });
    await using other = await redis({ server: 'shared', settings: { maxmemory: '32mb' } });
    expect(second.port).toBe(first.port);
    expect(second.url).not.toBe(first.url);
    expect(other.port).not.toBe(first.port);
  });

  it("refuses what would hurt the others, and says how to get a server of one's own", async () => {
    await using sql = await postgres({ server: 'shared' });
    for (const method of ['kill', 'restart', 'pause', 'resume', 'stop', 'log'] as const) {
      await expect(sql[method]()).rejects.toThrow(
        `${method}(): this PostgreSQL is not this test's alone: all test files of this run share it. Start one that is: postgres({ server: 'private' }).`,
      );
    }
    expect(() => sql.socketDir).toThrow(/^socketDir: this PostgreSQL is not this test's alone/);
    expect(sql.pid).toBeUndefined();
  });
});
