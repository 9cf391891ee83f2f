/** A cancelled task leaves a native promise that nobody handles, in one of several ways. */
import { EventEmitter } from 'node:events';
import { createTask, run, sleep } from '@aiokit/core';

const ways: Record<string, () => unknown> = {
  'void work()': () => void work(),
  'an async listener': () => {
    const emitter = new EventEmitter();
    emitter.on('job', async () => {
      await work();
    });
    emitter.emit('job');
  },
  'an async timer': () =>
    setTimeout(async () => {
      await work();
    }),
  'task.finally': () => void createTask(work).finally(() => {}),
  'task.then': () => void createTask(work).then(() => {}),
  'another error': () => void Promise.reject(new Error('not a cancel')),
  'no error': () => void Promise.reject('a string'),
};

async function work(): Promise<void> {
  await sleep(1000);
}

const way = process.argv[2] as string;
await run(async () => {
  const task = createTask(async () => {
    ways[way]?.();
    await sleep(1000);
  });
  await sleep(20);
  task.cancel('the client left');
  await task.catch(() => {});
  await sleep(20);
  console.log('alive');
});
