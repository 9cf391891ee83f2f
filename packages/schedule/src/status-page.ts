import { defaultScheduler } from './default-scheduler.ts';
import type { JobStatus } from './job-status.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * How the jobs stand, as a web page: a fetch-style app for `serve()`, hono's `mount` or any other. Whoever asks for
 * `application/json` gets the rows. It shows and changes nothing else; who may see it is yours to say.
 *
 * @example
 * ```ts
 * await serve(statusPage(scheduler), { port: 8080 });
 * ```
 */
export function statusPage(scheduler: Scheduler = defaultScheduler): (request: Request) => Response {
  return (request) => {
    const jobs = scheduler.describe();
    if (request.headers.get('accept')?.includes('application/json')) return Response.json(jobs);
    return new Response(page(jobs), { headers: { 'content-type': 'text/html; charset=utf-8' } });
  };
}

const COLUMNS: { readonly [K in keyof JobStatus]: string } = {
  job: 'Job',
  rule: 'Rule',
  tags: 'Tags',
  nextRun: 'Next run',
  lastRun: 'Last run',
  lastOutcome: 'Outcome',
  lastDuration: 'Took (ms)',
  running: 'Running',
  queued: 'Queued',
  runs: 'Runs',
  failures: 'Failures',
  missed: 'Missed',
};

function page(jobs: JobStatus[]): string {
  const names = Object.keys(COLUMNS) as (keyof JobStatus)[];
  const head = names.map((name) => `<th>${COLUMNS[name]}`).join('');
  const rows = jobs.map((job) => `<tr>${names.map((name) => `<td>${cell(job[name])}`).join('')}`).join('\n');
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Schedule</title>
<style>body{font:14px system-ui;margin:2em}table{border-collapse:collapse}th,td{padding:.4em .8em;text-align:left;border-bottom:1px solid #ccc}</style>
<h1>Schedule</h1>
<table><thead><tr>${head}</thead><tbody>
${rows}
</tbody></table>
</html>
`;
}

function cell(value: JobStatus[keyof JobStatus]): string {
  if (value === null) return '–';
  if (value instanceof Date) return `<time>${value.toISOString()}</time>`;
  return String(value).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
