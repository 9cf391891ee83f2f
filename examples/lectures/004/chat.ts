// Row 54: FastAPI's chat page, whose messages come back over a WebSocket; and a client that answers until it is told to close.
import { run, sleep } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { html } from 'hono/html';
import { isProgram, type Print } from '../program.ts';

const page = html`<!doctype html>
<html lang="en">
  <head>
    <title>Chat</title>
  </head>
  <body>
    <h1>WebSocket Chat</h1>
    <form>
      <input type="text" autocomplete="off" autofocus />
      <button>Send</button>
    </form>
    <ul></ul>
    <script>
      const socket = new WebSocket(location.href.replace(/^http/, 'ws') + 'ws');
      const input = document.querySelector('input');
      socket.onmessage = ({ data }) => {
        const message = document.createElement('li');
        message.textContent = data;
        document.querySelector('ul').append(message);
      };
      document.querySelector('form').onsubmit = (event) => {
        event.preventDefault();
        socket.send(input.value);
        input.value = '';
      };
    </script>
  </body>
</html>`;

/** @param patience after so many messages the server says `close cmd`. */
export function makeApp(patience = Infinity): Hono {
  const app = new Hono();
  app.get('/', (c) => c.html(page));
  app.get('/ws', () =>
    acceptWebSocket(async (socket) => {
      let received = 0;
      for await (const message of socket) {
        await socket.send(received++ < patience ? `Message text was: ${message}` : 'close cmd');
      }
    }),
  );
  return app;
}

/** Says hi, then sends back what it is told, after a second each. */
export async function talk(url: string, print: Print): Promise<void> {
  await using session = new ClientSession({ baseUrl: url });
  await using socket = await session.wsConnect('/ws');
  await socket.send('hi');
  for await (const message of socket) {
    await sleep(1_000);
    if (message === 'close cmd') break;
    await socket.send(message);
    print(String(message));
  }
}

export async function main(print: Print, patience = 4): Promise<void> {
  await using server = await serve(makeApp(patience), { port: 0 });
  await talk(server.url, print);
}

if (isProgram(import.meta)) {
  await run(async () => {
    await main(console.log);
    await using server = await serve(makeApp(), { port: 8000 });
    console.log(`The page: ${server.url}`);
    await server.untilClosed();
  });
}
