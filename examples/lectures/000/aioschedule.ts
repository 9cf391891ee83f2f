// Row 10: two jobs on a schedule. The notes' loop around `run_pending` and `time.sleep` is `runForever()`.
import { run, taskGroup } from '@aiokit/core';
import { Scheduler } from '@aiokit/schedule';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const schedule = new Scheduler();
  schedule.every(1).seconds.do(async () => print('HaHa'));
  schedule.every(2).seconds.do(async () => print('Heh'));
  await taskGroup((group) => void group.createTask(() => schedule.runForever()));
}

if (isProgram(import.meta)) await run(() => main(console.log));
