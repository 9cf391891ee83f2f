/** Two processes that serve within `run()`, and have more to close than the server: `/slow` says when it begins and takes 300 ms. */
import cluster from 'node:cluster';
import { run, sleep } from '@aiokit/core';
import { type RunningServer, serve } from '@aiokit/http/server';

const who = cluster.isPrimary ? 'first process' : 'worker';

await run(async () => {
  try {
    const server: RunningServer = await serve(
      async (request) => {
        if (request.url.endsWith('/slow')) {
          console.log('slow begins');
          await sleep(300);
        }
        return new Response('whole');
      },
      { port: 0, workers: 2, log: (line) => console.log(line) },
    );
    if (cluster.isPrimary) console.log(`all at ${server.url}`);
    try {
      await server.untilClosed();
    } finally {
      await server.close();
    }
  } finally {
    await sleep(200);
    console.log(`${who} has cleaned up`);
  }
});
