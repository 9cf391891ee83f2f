/** Two timeouts expire over promises that cannot be cancelled. */
import { run, timeout } from '@aiokit/core';

await run(async () => {
  for (let i = 0; i < 2; i++) {
    const slow = new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    await timeout(5, () => slow).catch((error: Error) => console.log(error.name));
  }
});
