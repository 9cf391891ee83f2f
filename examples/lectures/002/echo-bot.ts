// Row 28: the echo bot, and exercise 3: a bot that answers with a picture of what it was asked for.
//
// The notes need a proxy to reach Telegram: that is the session's `proxy`.
import { run } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { isProgram } from '../program.ts';
import { Bot } from './bot.ts';

export function echoBot(bot: Bot): void {
  bot.onCommands(['start', 'help'], (message) => bot.reply(message, "Hi!\nI'm EchoBot!\nPowered by aiokit."));
  bot.onMessage((message) => bot.reply(message, message.text));
}

/** `pictures` is the address of a search for pictures: what it answers to `?q=` is the picture. */
export function pictureBot(bot: Bot, session: ClientSession, pictures: string): void {
  bot.onMessage(async (message) => {
    const response = await session.get(pictures, { params: { q: message.text } });
    if (response.status === 404) return await bot.reply(message, `I know no picture of ${message.text}`);
    response.raiseForStatus();
    await bot.replyPhoto(message, new Blob([await response.bytes()], { type: response.contentType }));
  });
}

if (isProgram(import.meta)) {
  const token = process.env.BOT_TOKEN ?? '';
  if (token === '') {
    console.error(
      "BOT_TOKEN has to be the token that @BotFather gives; BOT_API may name another address than Telegram's.",
    );
    process.exit(1);
  }
  await run(async () => {
    await using session = new ClientSession({ baseUrl: process.env.BOT_API ?? 'https://api.telegram.org' });
    const bot = new Bot(session, token);
    echoBot(bot);
    await bot.startPolling();
  });
}
