/**
 * What a server executes, seen through MONITOR on a socket of its own.
 *
 * Not ioredis's `monitor()`: it knows that it monitors only a microtask after the OK, so a command of somebody else that
 * arrives in the same read is taken for a reply, and breaks its connection ("Command queue state error").
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { until } from './clients.ts';

export interface Monitor extends Disposable {
  /** Each command from now on, as `'SET k v'`. */
  readonly seen: readonly string[];
  /** Waits until all that has been executed so far is in `seen`. */
  upToNow(): Promise<void>;
}

export async function monitor({ host, port }: { host: string; port: number }): Promise<Monitor> {
  const [watching, marking] = [connect(port, host), connect(port, host)];
  const seen: string[] = [];
  let isOn = false;
  let markers = 0;
  let rest = '';
  watching.on('data', (data) => {
    const lines = (rest + data.toString('latin1')).split('\r\n');
    rest = lines.pop() as string;
    for (const line of lines) {
      if (line === '+OK') isOn = true;
      else seen.push(argumentsOf(line).join(' '));
    }
  });
  marking.resume();
  await Promise.all([once(watching, 'connect'), once(marking, 'connect')]);
  watching.write('MONITOR\r\n');
  await until(() => isOn, 'MONITOR');
  return {
    seen,
    async upToNow() {
      const marker = `echo marker-${++markers}`;
      marking.write(`${marker}\r\n`);
      await until(() => seen.includes(marker), marker);
    },
    [Symbol.dispose]() {
      watching.destroy();
      marking.destroy();
    },
  };
}

/** `+1339518083.107412 [0 127.0.0.1:60866] "set" "k" "v"` */
function argumentsOf(line: string): string[] {
  return Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, text]) => text as string);
}
