/** Queries whose answers are late by some ms, each against a timeout of an hour: by vitest's fake timers, and in virtual time. */
import { TimeoutError, timeout } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { runTest } from '@aiokit/testing';
import { faultProxy, type PostgresServer, postgres } from '@aiokit/testing/services';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

const QUERIES = 150;
const HOUR = 3_600_000;

let server: PostgresServer;
beforeAll(async () => {
  server = await postgres({ server: 'private' });
});
afterAll(() => server[Symbol.asyncDispose]());

test.for([0, 1, 5, 20])('an answer that is %i ms late', async (delay) => {
  await using proxy = await faultProxy(server);
  proxy.delay(delay, { direction: 'toClient' });
  const url = proxy.url(server.url);
  const [fake, virtual] = [await withFakeTimers(url), await inVirtualTime(url)];
  console.log(
    `> ${QUERIES} answers late by ${delay} ms: timed out with vitest's fake timers ${fake}, in virtual time ${virtual}`,
  );
  expect(virtual).toBe(0);
});

/** @returns how many queries timed out. */
async function withFakeTimers(connectionString: string): Promise<number> {
  const pool = new pg.Pool({ connectionString, max: 1 });
  await pool.query('select 1');
  vi.useFakeTimers();
  vi.setTimerTickMode('nextTimerAsync');
  let timedOut = 0;
  try {
    for (let n = 0; n < QUERIES; n++) {
      const query = pool.query('select 1');
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, HOUR, 'late');
      });
      if ((await Promise.race([query, late])) === 'late') timedOut++;
      clearTimeout(timer);
      await query;
    }
  } finally {
    vi.useRealTimers();
    await pool.end();
  }
  return timedOut;
}

/** @returns how many queries timed out. */
function inVirtualTime(connectionString: string): Promise<number> {
  return runTest(
    async () => {
      const pool = new Pool({ connectionString, max: 1 });
      let timedOut = 0;
      for (let n = 0; n < QUERIES; n++) {
        try {
          await timeout(HOUR, () => pool.query('select 1'));
        } catch (error) {
          if (!(error instanceof TimeoutError)) throw error;
          timedOut++;
        }
      }
      await pool.end();
      return timedOut;
    },
    { timeout: 60_000 },
  );
}
