/** How a schedule stands, and what can be observed of it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { run, sleep } from '@aiokit/core';
import { serve } from '@aiokit/http/server';
import { expect, it } from 'vitest';
import { type Job, Scheduler, statusPage } from '../src/index.ts';
import { reports, virtually } from './virtually.ts';

async function busy(): Promise<Scheduler> {
  reports();
  const scheduler = new Scheduler({ timeZone: 'UTC' });
  scheduler
    .every(10, { name: '<b>backup</b>' })
    .seconds.tag('nightly', 7)
    .do(() => sleep(25_000.4));
  scheduler
    .every()
    .minute.at(':15')
    .do(function failing() {
      throw new Error('boom');
    });
  scheduler.start();
  await sleep(36_000);
  return scheduler;
}

it('describe() is a table: next run, last run, outcome, duration, misses', async () => {
  await virtually(async () => {
    const scheduler = await busy();
    expect(scheduler.describe()).toEqual([
      {
        job: '<b>backup</b>',
        rule: 'Every 10 seconds',
        tags: 'nightly, 7',
        nextRun: new Date('2026-01-01T00:00:40Z'),
        lastRun: new Date('2026-01-01T00:00:10Z'),
        lastOutcome: 'done',
        lastDuration: 25_000,
        running: 0,
        queued: 0,
        runs: 1,
        failures: 0,
        missed: 2,
      },
      {
        job: 'failing',
        rule: 'Every minute at :15',
        tags: '',
        nextRun: new Date('2026-01-01T00:01:15Z'),
        lastRun: new Date('2026-01-01T00:00:15Z'),
        lastOutcome: 'failed',
        lastDuration: 0,
        running: 0,
        queued: 0,
        runs: 1,
        failures: 1,
        missed: 0,
      },
    ]);
    await scheduler.stop();
  });
});

it('the status page shows it, and nothing in it is taken for HTML', async () => {
  await virtually(async () => {
    const scheduler = await busy();
    const app = statusPage(scheduler);
    const html = await app(new Request('http://localhost/')).text();
    expect(html).toContain('&#60;b&#62;backup&#60;/b&#62;');
    expect(html).not.toContain('<b>');
    expect(html).toContain('<time>2026-01-01T00:00:40.000Z</time>');
    const json = await app(new Request('http://localhost/', { headers: { accept: 'application/json' } })).json();
    expect(json).toHaveLength(2);
    await scheduler.stop();
  });
});

it('the status page is an app for serve()', async () => {
  await run(async () => {
    const scheduler = new Scheduler({ timeZone: 'UTC' });
    scheduler.every(1, { name: 'hourly' }).hours.do(() => {});
    await using server = await serve(statusPage(scheduler), { port: 0 });
    const page = await fetch(server.url);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await page.text()).toContain('<td>hourly<td>Every hour');
    const rows = await fetch(server.url, { headers: { accept: 'application/json' } });
    expect(await rows.json()).toMatchObject([{ job: 'hourly', runs: 0, lastOutcome: null }]);
  });
});

it('runs and misses are published on diagnostics channels', async () => {
  const seen: string[] = [];
  const note = (message: unknown, name: string | symbol) => {
    const { job, count, error } = message as { job: Job; count?: number; error?: Error };
    seen.push(`${String(name).replace('aiokit.schedule.', '')} ${job.name} ${count ?? ''}${error?.message ?? ''}`);
  };
  const channels = ['run.start', 'run.asyncEnd', 'run.error', 'missed'].map((name) => `aiokit.schedule.${name}`);
  for (const name of channels) subscribe(name, note);
  await virtually(async () => {
    const scheduler = await busy();
    await scheduler.stop();
  });
  for (const name of channels) unsubscribe(name, note);
  expect(seen).toEqual([
    'run.start <b>backup</b> ',
    'run.start failing ',
    'run.error failing boom',
    'run.asyncEnd failing boom',
    'missed <b>backup</b> 1',
    'missed <b>backup</b> 1',
    'run.asyncEnd <b>backup</b> ',
  ]);
});
