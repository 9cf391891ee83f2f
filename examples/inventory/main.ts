/**
 * `npm run demo`: an inventory of the packages that are installed in this checkout, and what a cancel does in the middle of
 * it, on a real Postgres, a real Redis and real HTTP. Read on in this order:
 *
 *   upstream.ts   the outside world: an HTTP server whose answers may be late, fail or never come
 *   crawl.ts      fetches every package.json from it, keeps it in Redis, saves it in Postgres
 *   report.ts     answers GET /report with what was found
 *   proofs.ts     cancels three things, and looks on the servers at what is left of them
 */
import { fileURLToPath } from 'node:url';
import { isCancelled, Queue, run, taskGroup } from '@aiokit/core';
import { fetch } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Scheduler } from '@aiokit/schedule';
import { closing, type Defer } from './closing.ts';
import { type Crawl, type Crawler, crawl, openCrawler } from './crawl.ts';
import { createTables } from './inventory.ts';
import { Observer } from './observer.ts';
import { type Options, parseOptions } from './options.ts';
import { Problem, problemIfFails } from './problem.ts';
import { blockedReadIsCancelled, clientLeaves, crawlIsInterrupted } from './proofs.ts';
import { type Report, reportApp } from './report.ts';
import { startServices } from './services.ts';
import { heading, line, progress, table } from './terminal.ts';
import { startUpstream } from './upstream-process.ts';

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

async function demo({ seed, packages, port }: Options, defer: Defer): Promise<boolean> {
  heading('Servers');
  const services = await startServices(process.env, defer);
  const upstream = defer(await startUpstream({ root: NODE_MODULES, seed, limit: packages }));
  line(`npm packages  ${upstream.url}, answers mixed with seed ${seed}`);
  const places = { ...services, upstream: upstream.url };
  const crawler = openCrawler(places, defer);
  await createTables(crawler.pool);
  const server = defer(await problemIfFails('', () => serve(reportApp(crawler.pool), { port })));

  heading('A crawl every second');
  await crawlTwice(crawler);

  heading(`GET ${server.url}/report`);
  const report = (await (await fetch(`${server.url}/report`)).json()) as Report;
  show(report);

  heading('Cancelled in the middle, measured on the servers');
  const observer = defer(await new Observer(places).connect());
  const proofs = [
    await clientLeaves(server.url, observer),
    await blockedReadIsCancelled(crawler, services.name, observer),
    await crawlIsInterrupted(crawler, { ...places, name: `${services.name}-interrupted` }, observer),
  ];
  table(
    ['cancelled', 'ms', 'seen on the server'],
    proofs.map(({ what, ms, seen }) => [what, Math.ceil(ms), seen]),
  );
  return proofs.every(({ holds }) => holds);
}

/** The scheduler starts a crawl every second, unless the one before goes on; we wait for two. */
async function crawlTwice(crawler: Crawler): Promise<void> {
  const crawls = new Queue<Crawl>();
  await taskGroup(async (group) => {
    const scheduler = new Scheduler({ onError: (error) => group.createTask(() => Promise.reject(error)) });
    scheduler.every(1).seconds.do(async () => crawls.put(await crawl(crawler, progress('package.json'))));
    const schedule = group.createTask(() => scheduler.runForever());
    line(describe(await crawls.get()));
    line(describe(await crawls.get()));
    schedule.cancel();
  });
}

function describe({ total, cached, late, saved, skipped, missing, duration }: Crawl): string {
  const seconds = (duration / 1_000).toFixed(1);
  return (
    `${total} in ${seconds} s, ${cached} of them from Redis: ${saved} saved, ${skipped} no packages, ` +
    `${late} answers late, ${missing.length} missing`
  );
}

function show({ licences, dependants }: Report): void {
  table(
    ['licence', 'packages'],
    licences.slice(0, 8).map(({ licence, packages }) => [licence, packages]),
  );
  line();
  table(
    ['largest dependants', 'dependencies'],
    dependants.map(({ name, version, dependencies }) => [`${name} ${version}`, dependencies]),
  );
}

try {
  const options = parseOptions(process.argv.slice(2), process.env);
  const allHold = await run(() => closing((defer) => demo(options, defer)));
  if (!allHold) process.exitCode = 1;
} catch (error) {
  process.exitCode = 1;
  if (error instanceof Problem) console.error(error.message);
  else if (!isCancelled(error)) console.error(error);
}
