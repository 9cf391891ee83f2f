/** Two processes that would serve on a port that is taken: each says how that has failed, and goes on to its end. */
import cluster from 'node:cluster';
import { serve } from '@aiokit/http/server';

try {
  await serve(() => new Response(), { port: Number(process.argv[2]), workers: 2, log: () => {} });
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  console.log(cluster.isPrimary ? `first process failed: ${message}` : `worker failed: ${code}`);
}
