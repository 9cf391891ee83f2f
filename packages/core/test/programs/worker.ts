/** A worker thread has a loop of its own. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { allTasks, createTask, getRunningLoop, run, sleep } from '@aiokit/core';

if (isMainThread) {
  createTask(() => sleep(50), { name: "the main thread's" });
  const worker = new Worker(new URL(import.meta.url));
  const exit = once(worker, 'exit'); // It may come together with the message.
  const [message] = await once(worker, 'message');
  console.log(message);
  const [code] = await exit;
  console.log(code, [...allTasks()].length <= 1);
} else {
  await run(
    async () => {
      const task = createTask(() => sleep(10, 'slept'), { name: 'in the worker' });
      const names = [...allTasks()].map((each) => each.name).join();
      parentPort?.postMessage(`${await task}; ${names}; ${getRunningLoop().name}`);
    },
    { name: 'worker' },
  );
}
