/** The clients of c10k.ts, in a process of their own: so many connections of a kind, and what they hear. */
import { gather, run, Semaphore } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';

const [, , url, kind, count] = process.argv as unknown as [string, string, string, 'long polls' | 'WebSockets', string];
const connections = Number(count);
/** Connecting at once would fill the server's queue. */
const AT_ONCE = 200;

/** Counts to the number of connections, and tells the server's process then. */
function counter(name: string): () => void {
  let seen = 0;
  return () => {
    if (++seen === connections) process.send?.({ [name]: seen });
  };
}

await run(async () => {
  const [open, heard, toldGoodbye] = [counter('open'), counter('heard'), counter('toldGoodbye')];
  await using session = new ClientSession({ baseUrl: url, limit: connections, timeout: null });
  const connecting = new Semaphore(AT_ONCE);

  const poll = async () => {
    open();
    if ((await session.get('/long-poll').text()) === 'news') heard();
    const last = await session.get('/long-poll');
    if ((await last.text()) === 'news' && last.headers.get('connection') === 'close') toldGoodbye();
  };
  const listen = async () => {
    await connecting.acquire();
    await using socket = await session.wsConnect('/ws');
    connecting.release();
    open();
    if ((await socket.receive()) === 'news') heard();
    if ((await socket.receive()) === null && socket.closeCode === 1001) toldGoodbye();
  };
  await gather(Array.from({ length: connections }, () => (kind === 'long polls' ? poll : listen)));
});
process.disconnect?.();
