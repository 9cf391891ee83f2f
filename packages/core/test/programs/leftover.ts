/** Main ends while a task still runs. */
import { createTask, run, sleep } from '@aiokit/core';

await run(async () => {
  createTask(() => sleep(1000), { name: 'left over' });
  await sleep(1);
});
