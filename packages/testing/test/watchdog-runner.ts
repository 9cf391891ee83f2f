// Run by watchdog.test.ts in a process of its own.
import { createTask, sleep } from '@aiokit/core';
import { runTest } from '@aiokit/testing';

function spinForEver(): void {
  for (let i = 0; ; i = (i + 1) % 1000) if (i < 0) return;
}

try {
  await runTest(
    async () => {
      await createTask(
        async () => {
          await sleep(1_000);
          spinForEver();
        },
        { name: 'importer' },
      );
    },
    { watchdog: 200, timeout: 5_000 },
  );
} catch (error) {
  console.log((error as Error).name, (error as Error).message);
}
