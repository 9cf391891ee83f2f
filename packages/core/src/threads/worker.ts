/**
 * What a worker runs, thread or process. It has a package export of its own only so that the build makes a file of it:
 * imported anywhere else, it does nothing.
 */
import { parentPort, type Transferable, workerData } from 'node:worker_threads';
import { encodeError } from './encode-error.ts';
import { findFunction } from './find-function.ts';
import { type Call, type Message, WORKER_ARGUMENT, WORKER_DATA } from './protocol.ts';
import { transfersOf } from './transfer-lists.ts';

/** The pool, seen from a worker. */
interface Pool {
  send(message: Message, transfers?: readonly Transferable[], sent?: () => void): void;
  onCall(listener: (call: Call) => void): void;
  /** Whether waiting for the next call keeps the worker alive. */
  keepAlive(on: boolean): void;
}

const pool = connect();
if (pool !== null) serve(pool);

function connect(): Pool | null {
  const port = parentPort;
  if (port !== null && workerData === WORKER_DATA) {
    return {
      send(message, transfers, sent) {
        port.postMessage(message, transfers);
        sent?.();
      },
      onCall: (listener) => void port.on('message', listener),
      keepAlive: (on) => (on ? port.ref() : port.unref()),
    };
  }
  const { channel } = process;
  if (process.send === undefined || channel == null || !process.argv.includes(WORKER_ARGUMENT)) return null;
  // The parent has ended: nobody is there to answer. A terminal's Ctrl+C goes to all processes: the parent decides.
  process.on('disconnect', () => process.exit());
  process.on('SIGINT', () => {});
  return {
    send: (message, _transfers, sent) => void process.send?.(message, undefined, undefined, sent),
    onCall: (listener) => void process.on('message', listener as (call: unknown) => void),
    keepAlive: (on) => (on ? channel.ref() : channel.unref()),
  };
}

function serve(pool: Pool): void {
  pool.onCall(async (call) => {
    // A `run()` of the job sees its deadlock only if nothing but what the job started keeps the worker alive.
    pool.keepAlive(false);
    const answer = await perform(call);
    pool.keepAlive(true);
    await flush();
    reply(pool, answer, call);
  });
  // What Node cannot see may go on all the same: an `Atomics.waitAsync`, say.
  process.on('beforeExit', () => pool.keepAlive(true));
  process.on('uncaughtException', (error) => {
    pool.send({ type: 'crash', error: encodeError(error) }, [], () => process.exit(1));
  });
  pool.send({ type: 'ready' });
}

async function perform(call: Call): Promise<Message> {
  try {
    const fn = await findFunction(call);
    return { type: 'value', value: await fn(...call.args) };
  } catch (error) {
    return { type: 'error', error: encodeError(error) };
  }
}

/** What the job printed arrives before its answer does: a thread's output goes through the main thread, piece by piece. */
async function flush(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<unknown>((resolve) => stream.write('', resolve));
  }
}

function reply(pool: Pool, answer: Message, call: Call): void {
  try {
    pool.send(answer, answer.type === 'value' ? transfersOf([answer.value]) : []);
  } catch (cause) {
    const message = `What ${call.name || 'the function'} returned cannot be sent to another thread or process: ${(cause as Error).message}`;
    pool.send({ type: 'error', error: encodeError(new TypeError(message, { cause })) });
  }
}
