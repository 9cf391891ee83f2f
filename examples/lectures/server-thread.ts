/** A server in a thread of its own, for programs that block theirs. Each answer takes a while. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Serves JSON while `body` runs. `delay`: how long each answer takes, in ms. */
export async function withServerThread<R>(delay: number, body: (url: string) => PromiseLike<R>): Promise<R> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { delay }, execArgv: [] });
  try {
    const [url] = (await once(worker, 'message')) as [string];
    return await body(url);
  } finally {
    await worker.terminate();
  }
}

if (!isMainThread) {
  const { delay } = workerData as { delay: number };
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    setTimeout(() => response.end('{"message":"Hello, world"}'), delay);
  });
  server.listen(0, '127.0.0.1', () => {
    parentPort?.postMessage(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  });
}
