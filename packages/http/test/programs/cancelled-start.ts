/** `serve` with workers that never get as far, cancelled when they have begun. */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createTask, run } from '@aiokit/core';
import { serve } from '@aiokit/http/server';

if (cluster.isWorker) {
  setInterval(() => {}, 1_000);
} else {
  await run(async () => {
    const starting = createTask(() => serve(() => new Response(), { port: 0, workers: 2, log: () => {} }));
    await once(cluster, 'online');
    starting.cancel();
    await starting.catch((error: unknown) => console.log((error as Error).name));
  });
}
