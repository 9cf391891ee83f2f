import { createTask, getRunningLoop, run, sleep } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import { expect, it } from 'vitest';
import { main as aioschedule } from './aioschedule.ts';
import { Bot, main as timerBot } from './timer-bot.ts';

/** Each line with the second in which it was printed. */
async function printed(ms: number, program: (print: (line: string) => void) => Promise<void>): Promise<string[]> {
  return await run(
    async () => {
      const lines: string[] = [];
      const task = createTask(() => program((line) => void lines.push(`${getRunningLoop().time() / 1_000} ${line}`)));
      await sleep(ms);
      task.cancel();
      await expect(task).rejects.toMatchObject({ name: 'CancelledError' });
      return lines;
    },
    { clock: new VirtualClock() },
  );
}

it('row 10: one job every second, the other every two', async () => {
  const lines = await printed(4_500, aioschedule);
  expect(lines.sort()).toEqual(['1 HaHa', '2 HaHa', '2 Heh', '3 HaHa', '4 HaHa', '4 Heh']);
});

it('row 11: a timer beeps once and leaves the others of its chat alone, until /unset', async () => {
  const lines = await printed(20_000, async (print) => {
    const bot = new Bot(print);
    const says = async (at: number, chat: number, text: string) => {
      await sleep(at - getRunningLoop().time());
      bot.inbox.putNowait({ chat, text });
    };
    createTask(async () => {
      await says(0, 1, '/start');
      await says(0, 1, '/set soon');
      await says(0, 1, '/set 3');
      await says(0, 1, '/set 5');
      await says(0, 2, '/set 4');
      await says(6_000, 1, '/set 2');
      await says(7_000, 1, '/unset');
    });
    await timerBot(bot);
  });
  expect(lines).toEqual([
    '0 1: Hi! Use /set <seconds> to set a timer',
    '0 1: Usage: /set <seconds>',
    '3 1: Beep!',
    '4 2: Beep!',
    '5 1: Beep!',
  ]);
});
