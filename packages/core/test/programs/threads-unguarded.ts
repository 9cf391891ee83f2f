/** The program's own module is imported in the worker, and its top level is not guarded. */
import { isMainThread } from 'node:worker_threads';
import { toThread, workerFn } from '@aiokit/core/threads';

export const work = () => 1;

try {
  await toThread(workerFn<typeof work>(import.meta.url, 'work'));
} catch (error) {
  if (!isMainThread) throw error;
  console.log(String(error));
}
