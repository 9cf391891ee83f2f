// Row 11: a bot that beeps. `/set 3` starts a timer, `/unset` ends those of the chat; polling and schedule run side by side.
//
// Three mistakes of the notes are mended. A timer that has beeped ended with `aioschedule.clear(chat_id)`, which takes every
// other timer of that chat along: it returns CancelJob, which ends itself alone. `/unset` called `aioschedule.clean`, which
// does not exist: it is `clear`. And `/unset` was no coroutine, so the bot awaited `None`.
import { Queue, run, taskGroup } from '@aiokit/core';
import { CancelJob, Scheduler } from '@aiokit/schedule';
import { isProgram, type Print } from '../program.ts';

export interface Message {
  readonly chat: number;
  readonly text: string;
}

/** What a bot library does: it polls for messages, and has handlers for commands. A queue stands in for the network. */
export class Bot {
  readonly inbox = new Queue<Message>();
  private readonly handlers = new Map<string, (message: Message) => Promise<void>>();
  private readonly print: Print;

  constructor(print: Print) {
    this.print = print;
  }

  onCommand(command: string, handler: (message: Message) => Promise<void>): void {
    this.handlers.set(command, handler);
  }

  async sendMessage(chat: number, text: string): Promise<void> {
    this.print(`${chat}: ${text}`);
  }

  async infinityPolling(): Promise<void> {
    for await (const message of this.inbox) {
      await this.handlers.get(message.text.split(' ')[0] ?? '')?.(message);
    }
  }
}

export async function main(bot: Bot): Promise<void> {
  const schedule = new Scheduler();

  const beep = async (chat: number) => {
    await bot.sendMessage(chat, 'Beep!');
    return CancelJob;
  };
  bot.onCommand('/start', (message) => bot.sendMessage(message.chat, 'Hi! Use /set <seconds> to set a timer'));
  bot.onCommand('/set', async ({ chat, text }) => {
    const [, seconds = ''] = text.split(' ');
    if (!/^[1-9]\d*$/.test(seconds)) return await bot.sendMessage(chat, 'Usage: /set <seconds>');
    schedule.every(Number(seconds)).seconds.do(beep, chat).tag(chat);
  });
  bot.onCommand('/unset', async ({ chat }) => schedule.clear(chat));

  await taskGroup((group) => {
    group.createTask(() => bot.infinityPolling());
    group.createTask(() => schedule.runForever());
  });
}

if (isProgram(import.meta)) {
  const bot = new Bot(console.log);
  for (const text of ['/start', '/set', '/set 1', '/set 2', '/set 1']) bot.inbox.putNowait({ chat: 42, text });
  await run(() => main(bot));
}
