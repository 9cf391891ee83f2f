// Row 39: in debug mode a step that holds the loop for long is reported, with the name of its task and its time.
import { createTask, getRunningLoop, run } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

/** Computes for so many ms without letting go of the loop. */
function hold(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

export async function main(print: Print): Promise<void> {
  const debugged = async () => {
    const loop = getRunningLoop();
    loop.setExceptionHandler(({ message }) => print(message));
    await createTask(async () => hold(150), { name: 'more than 100 ms' });

    loop.slowCallbackDuration = 250;
    await createTask(async () => hold(150), { name: 'less than 250 ms' });
  };
  await run(debugged, { debug: true });
}

if (isProgram(import.meta)) await main(console.log);
