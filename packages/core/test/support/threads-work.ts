/** Functions that workers import: what the tests of threads run there. */
import { threadId } from 'node:worker_threads';
import { CancelledError, createTask, ExceptionGroup, run, sleep, TimeoutError, taskGroup, timeout } from '@aiokit/core';
import { transfer } from '@aiokit/core/threads';

const FACTOR = 2;
export const notAFunction = 1;

interface Numbers {
  readonly numbers: readonly number[];
}

/** Uses what is around it, and types. */
export function double({ numbers }: Numbers): number[] {
  return numbers.map((n) => n * FACTOR);
}

/** The default loop of a worker. */
export async function tasks(): Promise<[number, number]> {
  const task = createTask(async () => {
    await sleep(1);
    return threadId;
  });
  return [await task, threadId];
}

/** A loop with a lifetime in a worker. */
export async function ownRun(): Promise<string> {
  return await run(() => timeout(5, () => sleep(60_000, 'in time')).catch((error: Error) => error.name));
}

export async function deadlock(): Promise<void> {
  await run(() => new Promise(() => {}));
}

export function cancelled(): never {
  throw new CancelledError('from inside');
}

export function timedOut(): Promise<void> {
  return timeout(1, () => sleep(60_000));
}

export async function group(): Promise<void> {
  await taskGroup((tasks) => {
    tasks.createTask(() => {
      throw Object.assign(new TypeError('one', { cause: new Error('the cause') }), { code: 'E_ONE' });
    });
    tasks.createTask(() => {
      throw new ExceptionGroup([new TimeoutError('two')], 'inner');
    });
  });
}

export class HttpError extends Error {
  override name = 'HttpError';
  readonly status = 404;
  readonly headers = { etag: 'x' };
  readonly retry = () => {};
}

export function ownClass(): never {
  throw new HttpError('not found', { cause: 'a string' });
}

let made = new Uint8Array(0);

export function makeBytes(length: number): { bytes: Uint8Array } {
  made = new Uint8Array(length).fill(7);
  return transfer({ bytes: made }, [made.buffer as ArrayBuffer]);
}

/** 0 if they were moved away. */
export function bytesLeft(): number {
  return made.byteLength;
}
