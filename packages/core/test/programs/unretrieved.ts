/** A task fails on the default loop and nobody takes its result. */
import { createTask, Future } from '@aiokit/core';

createTask(
  () => {
    throw new Error('lost');
  },
  { name: 'background' },
);
if (process.argv[2] === 'awaited later') {
  const task = createTask(
    () => {
      throw new Error('found');
    },
    { name: 'patient' },
  );
  setTimeout(async () => {
    await task.catch((error: unknown) => console.log((error as Error).message));
  }, 20);
}
new Future<void>().setException(new Error('a future, too'));
setTimeout(() => console.log('goes on'), 10);
