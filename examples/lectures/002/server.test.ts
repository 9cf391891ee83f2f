import { Queue, rethrowCancelled, run, taskGroup, timeout } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { route, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { expect, it } from 'vitest';
import { app as helloApp } from './aiohttp-server.ts';
import { Bot, type Message } from './bot.ts';
import { echoBot, pictureBot } from './echo-bot.ts';

it('row 26: says hello to a name, or to Anonymous', async () => {
  await using server = await serve(helloApp, { port: 0 });
  const answers = ['/', '/Ada', '/%D0%90%D0%BD%D1%8F'].map(async (path) => (await fetch(server.url + path)).text());
  expect(await Promise.all(answers)).toEqual(['Hello, Anonymous', 'Hello, Ada', 'Hello, Аня']);
});

/** Stands in for Telegram's Bot API: hands out what users write, by long polling, and notes what the bot sends. */
function botApi(token: string) {
  const written: { update_id: number; message: Message }[] = [];
  const news = new Queue<void>();
  const sent = new Queue<Record<string, unknown>>();
  const app = new Hono().basePath(`/bot${token}`);
  app.post('/getUpdates', route({ cancelOnDisconnect: true }), async (c) => {
    const { offset, timeout: seconds } = await c.req.json<{ offset: number; timeout: number }>();
    const fresh = () => written.filter(({ update_id }) => update_id >= offset);
    if (fresh().length === 0) await timeout(seconds * 1_000, () => news.get()).catch(rethrowCancelled);
    return c.json({ ok: true, result: fresh() });
  });
  app.post('/sendMessage', async (c) => {
    sent.putNowait(await c.req.json());
    return c.json({ ok: true, result: {} });
  });
  app.post('/sendPhoto', async (c) => {
    const { photo, ...fields } = await c.req.parseBody();
    const { type, size } = photo as File;
    sent.putNowait({ ...fields, photo: `${type}, ${size} bytes` });
    return c.json({ ok: true, result: {} });
  });
  return {
    app,
    sent,
    userWrites(chat: number, text: string): void {
      const id = written.length + 1;
      written.push({ update_id: id, message: { message_id: 100 + id, chat: { id: chat }, text } });
      news.putNowait();
    },
  };
}

/** Runs a bot against the stand-in while `body` looks at it. */
async function withBot(
  set: (bot: Bot, session: ClientSession, url: string) => void,
  body: (api: ReturnType<typeof botApi>) => Promise<void>,
): Promise<void> {
  await run(async () => {
    const api = botApi('42:secret');
    const root = new Hono().route('/', api.app);
    root.get('/pictures', (c) => {
      if (c.req.query('q') !== 'cat') return c.notFound();
      return c.body('<svg xmlns="http://www.w3.org/2000/svg"/>', 200, { 'content-type': 'image/svg+xml' });
    });
    await using server = await serve(root, { port: 0 });
    await using session = new ClientSession({ baseUrl: server.url });
    const bot = new Bot(session, '42:secret');
    set(bot, session, `${server.url}/pictures`);
    await taskGroup(async (group) => {
      const polling = group.createTask(() => bot.startPolling());
      await body(api);
      polling.cancel();
    });
  });
}

it('row 28: the echo bot greets, and says what it is told', async () => {
  await withBot(echoBot, async (api) => {
    api.userWrites(7, '/start');
    expect(await api.sent.get()).toEqual({
      chat_id: 7,
      reply_to_message_id: 101,
      text: "Hi!\nI'm EchoBot!\nPowered by aiokit.",
    });
    api.userWrites(8, 'echo?');
    expect(await api.sent.get()).toEqual({ chat_id: 8, reply_to_message_id: 102, text: 'echo?' });
  });
});

it('row 28, exercise 3: the bot answers with a picture, or says that it knows none', async () => {
  await withBot(pictureBot, async (api) => {
    api.userWrites(7, 'cat');
    expect(await api.sent.get()).toEqual({
      chat_id: '7',
      reply_to_message_id: '101',
      photo: 'image/svg+xml, 41 bytes',
    });
    api.userWrites(7, 'unicorn');
    expect(await api.sent.get()).toMatchObject({ text: 'I know no picture of unicorn' });
  });
});
