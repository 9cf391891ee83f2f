// Row 41: is c10k a problem? One process holds ten thousand connections, long polls and then WebSockets; all of them hear the
// same news, and are told goodbye when it ends. The clients are a process of their own. `004/c10k 1000` takes fewer.
//
// Each process needs an open file per connection (`ulimit -n`), and one address has some 28,000 ports to connect from.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Event, run, sleep } from '@aiokit/core';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { isProgram, type Print } from '../program.ts';

const CLIENTS = new URL('c10k-clients.ts', import.meta.url);

/** What the clients say of themselves. */
interface Report {
  readonly open?: number;
  readonly heard?: number;
  readonly toldGoodbye?: number;
}

export async function main(print: Print, connections = 10_000): Promise<void> {
  for (const kind of ['long polls', 'WebSockets'] as const) {
    let news = new Event();
    const server = await serve(
      async (request) => {
        if (new URL(request.url).pathname === '/long-poll') {
          await news.wait();
          return new Response('news');
        }
        return acceptWebSocket(async (socket) => {
          await news.wait();
          await socket.send('news');
          for await (const _ of socket);
        });
      },
      // Ten thousand clients of one process take their time to ask again.
      { port: 0, limits: { keepAliveTimeout: 60_000 } },
    );
    const held = () => server.statistics().active + server.statistics().webSockets;

    const before = await memory();
    const clients = fork(CLIENTS, [server.url, kind, String(connections)], {
      execArgv: ['--conditions=@aiokit/source'],
    });
    const ended = once(clients, 'exit');
    const next = async () => {
      const [report] = await Promise.race([once(clients, 'message'), ended]);
      if (typeof report === 'object' && report !== null) return report as Report;
      throw new Error(`The clients ended (${report}) before they had heard everything`);
    };
    const open = next();
    while (held() < connections) await sleep(10);
    const perConnection = ((await memory()) - before) / connections / 1_024;
    await open;
    print(`${held()} ${kind} held by one process`);
    print(`  ${perConnection.toFixed(1)} KiB each`);

    const publish = () => {
      const told = news;
      news = new Event();
      told.set();
    };
    const heard = next();
    publish();
    print(`  ${(await heard).heard} heard the news`);
    // Long polls have asked again: the answer that a closing server gives them is the goodbye.
    while (held() < connections) await sleep(10);
    const goodbye = next();
    const closed = server.close();
    publish();
    print(`  ${(await goodbye).toldGoodbye} were told goodbye`);
    await closed;
    await ended;
  }
}

/** What the process uses, garbage not counted, in bytes. (What the system has given it does not shrink between the two kinds.) */
async function memory(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 2; i++) {
    collect();
    await sleep(0);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (isProgram(import.meta)) await run(() => main(console.log, Number(process.argv[2] ?? 10_000)));
