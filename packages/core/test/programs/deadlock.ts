/** Nothing can ever wake main. */
import { createTask, DeadlockError, Future, Lock, Queue, run } from '@aiokit/core';

try {
  await run(async () => {
    const lock = new Lock();
    const queue = new Queue<number>();
    await lock.acquire();
    createTask(() => lock.acquire(), { name: 'wants the lock' });
    createTask(() => queue.get(), { name: 'wants an item' });
    try {
      await new Future<void>();
    } finally {
      console.log('finally');
    }
  });
} catch (error) {
  console.log(error instanceof DeadlockError, (error as Error).message);
}
