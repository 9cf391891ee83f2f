/** Nothing can ever wake main. */
import { createTask, DeadlockError, Future, Lock, Queue, Runner, run, sleep } from '@aiokit/core';

async function many(): Promise<void> {
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
}

async function secondRun(): Promise<void> {
  const runner = new Runner();
  try {
    await runner.run(() => void createTask(() => new Future<void>(), { name: 'of the first run' }));
    await runner.run(() => new Future<void>());
  } finally {
    await runner.close();
  }
}

async function stubborn(): Promise<void> {
  const swallow = async () => {
    for (;;) await new Future<void>().catch(() => {});
  };
  const main = async () => {
    createTask(swallow, { name: 'stubborn' });
    await sleep(1);
    return 1;
  };
  console.log('main gave', await run(main));
}

try {
  await ({ 'second run': secondRun, stubborn }[process.argv[2] ?? ''] ?? many)();
} catch (error) {
  console.log(error instanceof DeadlockError, (error as Error).message);
}
