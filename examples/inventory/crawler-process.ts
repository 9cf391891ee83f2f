/** A crawl in a process of its own, for the proof that interrupts it. It has nothing to do about signals: `run` has. */
import { run } from '@aiokit/core';
import { closing } from './closing.ts';
import { crawl, openCrawler, type Places } from './crawl.ts';

const places = JSON.parse(process.argv[2] ?? '{}') as Places;

await run(() =>
  closing(async (defer) => {
    await crawl(openCrawler(places, defer), () => {});
  }),
);
