// Row 23: a lock both ways, by hand and with `using`, which releases it at the end of the block.
import { Lock, run, sleep, taskGroup } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const lock = new Lock();
  let shared = 0;

  const byHand = async () => {
    await lock.acquire();
    try {
      const before = shared;
      await sleep(1_000);
      shared = before + 1;
    } finally {
      lock.release();
    }
  };
  const withUsing = async () => {
    using _ = await lock.acquire();
    const before = shared;
    await sleep(1_000);
    shared = before + 1;
  };

  await taskGroup((group) => {
    group.createTask(byHand);
    group.createTask(withUsing);
    group.createTask(withUsing);
  });
  print(`shared state: ${shared}, locked: ${lock.locked()}`); // Without the lock it would be 1.
}

if (isProgram(import.meta)) await run(() => main(console.log));
