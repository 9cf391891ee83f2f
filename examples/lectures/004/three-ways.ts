// Row 40: three ways to hear of what happens at a server: asking again and again, a request that is held until there is news,
// a WebSocket. The same three pieces of news each time; what it costs is what is printed.
import { createTask, Event, run, sleep, timeout } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram, type Print } from '../program.ts';

const NEWS = ['first', 'second', 'third'];
/** Something happens this often, in ms. */
const INTERVAL = 2_000;
/** How often the poller asks, in ms. */
const POLL_INTERVAL = 700;
/** How long a request is held at most, in ms: proxies cut those that are silent for longer. */
const HOLD = 1_500;

/** What happens at the server, for all who want to know. */
class Feed {
  readonly items: string[] = [];
  private changed = new Event();

  publish(item: string): void {
    this.items.push(item);
    this.changed.set();
    this.changed = new Event();
  }

  /** What came after the first `seen`; waits while there is none. */
  async after(seen: number): Promise<string[]> {
    while (this.items.length <= seen) await this.changed.wait();
    return this.items.slice(seen);
  }
}

function makeApp(feed: Feed, count: () => void): Hono {
  const app = new Hono();
  app.use((_, next) => {
    count();
    return next();
  });
  const seenBy = (c: { req: { query(name: string): string | undefined } }) => Number(c.req.query('seen'));

  app.get('/poll', (c) => c.json(feed.items.slice(seenBy(c))));

  // A client who leaves while its request is held ends it: nobody waits for the news in its place.
  app.get('/long-poll', async (c) => {
    const news = await timeout(HOLD, () => feed.after(seenBy(c))).catch((error: Error) => {
      if (error.name === 'TimeoutError') return [];
      throw error;
    });
    return c.json(news);
  });

  app.get('/socket', () =>
    acceptWebSocket(async (socket) => {
      for (let seen = 0; ; ) {
        for (const item of await feed.after(seen)) {
          await socket.send(item);
          seen++;
        }
      }
    }),
  );
  return app;
}

type Client = (session: ClientSession) => Promise<string[]>;

async function poll(session: ClientSession): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < NEWS.length) {
    await sleep(POLL_INTERVAL);
    seen.push(...(await session.get('/poll', { params: { seen: seen.length } }).json<string[]>()));
  }
  return seen;
}

async function longPoll(session: ClientSession): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < NEWS.length) {
    seen.push(...(await session.get('/long-poll', { params: { seen: seen.length } }).json<string[]>()));
  }
  return seen;
}

async function listen(session: ClientSession): Promise<string[]> {
  const seen: string[] = [];
  await using socket = await session.wsConnect('/socket');
  for await (const message of socket) {
    seen.push(String(message));
    if (seen.length === NEWS.length) break;
  }
  return seen;
}

export async function main(print: Print): Promise<void> {
  for (const [name, client] of [
    ['poll', poll],
    ['long polling', longPoll],
    ['WebSocket', listen],
  ] satisfies [string, Client][]) {
    const feed = new Feed();
    let requests = 0;
    await using server = await serve(
      makeApp(feed, () => requests++),
      { port: 0 },
    );
    await using session = new ClientSession({ baseUrl: server.url });
    const happenings = createTask(async () => {
      for (const item of NEWS) {
        await sleep(INTERVAL);
        feed.publish(item);
      }
    });
    const seen = await client(session);
    await happenings;
    print(`${name}: ${seen.join(', ')} by ${requests} request${requests === 1 ? '' : 's'}`);
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
