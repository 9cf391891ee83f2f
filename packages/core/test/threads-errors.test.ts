/** What is thrown in a worker, as it arrives here. */
import { CancelledError, createTask, ExceptionGroup, TimeoutError } from '@aiokit/core';
import {
  ProcessPoolExecutor,
  ThreadPoolExecutor,
  toThread,
  type WorkerPoolOptions,
  workerFn,
} from '@aiokit/core/threads';
import { afterAll, describe, expect, it } from 'vitest';
import type * as work from './support/threads-work.ts';

const options: WorkerPoolOptions = { maxWorkers: 1, execArgv: ['--conditions=@aiokit/source'] };
const workFile = new URL('./support/threads-work.ts', import.meta.url);
const pools = [new ThreadPoolExecutor(options), new ProcessPoolExecutor(options)];
afterAll(async () => {
  for (const pool of pools) await pool.shutdown();
});

async function failureOf(work: PromiseLike<unknown>): Promise<Error & Record<string, unknown>> {
  return await work.then(
    () => expect.fail('it did not fail'),
    (error) => error,
  );
}

describe.each(pools)('an error from a $kind', (pool) => {
  it('keeps its class, message, code, cause and the stack that it had there', async () => {
    const error = await failureOf(
      pool.submit(function failing() {
        throw Object.assign(new RangeError('too far', { cause: new SyntaxError('because') }), {
          code: 'E_FAR',
          at: [1],
        });
      }),
    );
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ name: 'RangeError', message: 'too far', code: 'E_FAR', at: [1] });
    expect(error.stack).toMatch(/^RangeError: too far\n {4}at .*failing/);
    expect(error.cause).toBeInstanceOf(SyntaxError);
    expect(Object.keys(error)).toEqual(['code', 'at']);
  });

  it('of the system keeps code, errno, syscall and path', async () => {
    const read = () => process.getBuiltinModule('node:fs').readFileSync('/no/such/file');
    expect(await failureOf(pool.submit(read))).toMatchObject({
      code: 'ENOENT',
      errno: -2,
      syscall: 'open',
      path: '/no/such/file',
    });
  });

  it('of a class of its own is an Error with that name and what can be sent of it', async () => {
    const error = await failureOf(pool.submit(workerFn<typeof work.ownClass>(workFile, 'ownClass')));
    expect(error).toMatchObject({ name: 'HttpError', status: 404, headers: { etag: 'x' }, cause: 'a string' });
    expect(error).not.toHaveProperty('retry');
    expect(String(error)).toBe('HttpError: not found');
  });

  it('that is a group comes back as our ExceptionGroup, with its errors whole', async () => {
    const error = await failureOf(pool.submit(workerFn<typeof work.group>(workFile, 'group')));
    expect(error).toBeInstanceOf(ExceptionGroup);
    const [one, inner] = (error as unknown as ExceptionGroup).errors;
    expect(one).toBeInstanceOf(TypeError);
    expect(one).toMatchObject({ message: 'one', code: 'E_ONE', cause: new Error('the cause') });
    expect(inner.errors[0]).toBeInstanceOf(TimeoutError);
    expect((error as unknown as ExceptionGroup).subgroup(TimeoutError)?.errors).toHaveLength(1);
  });

  it('that is an AggregateError keeps its errors', async () => {
    const error = await failureOf(pool.submit(() => Promise.any([Promise.reject(new TypeError('first'))])));
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.errors).toEqual([new TypeError('first')]);
  });

  it('that is a TimeoutError is ours', async () => {
    const error = await failureOf(pool.submit(workerFn<typeof work.timedOut>(workFile, 'timedOut')));
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT' });
  });

  it('that is a CancelledError cancels the Future, with its reason', async () => {
    const job = pool.submit(workerFn<typeof work.cancelled>(workFile, 'cancelled'));
    const error = await failureOf(job);
    expect(job.cancelled()).toBe(true);
    expect(error).toBeInstanceOf(CancelledError);
    expect(error).toMatchObject({ message: 'from inside', reason: 'from inside', source: null, code: 'ABORT_ERR' });
  });

  it('that is a DOMException is one', async () => {
    const error = await failureOf(pool.submit(() => AbortSignal.abort().throwIfAborted()));
    expect(error).toBeInstanceOf(DOMException);
    expect(error.name).toBe('AbortError');
  });

  it('may be its own cause', async () => {
    const selfCaused = () => {
      const error = new Error('round');
      error.cause = error;
      throw error;
    };
    const error = await failureOf(pool.submit(selfCaused));
    expect((error.cause as Error).message).toBe('round');
  });

  it('that is none is wrapped in one', async () => {
    const error = await failureOf(
      pool.submit(() => {
        throw { status: 1 };
      }),
    );
    expect(error).toMatchObject({ message: 'Not an error was thrown: { status: 1 }', cause: { status: 1 } });
    await expect(pool.submit(() => Promise.reject(undefined))).rejects.toThrow('Not an error was thrown: undefined');
  });
});

it('fails the task that awaits it as an error thrown here would', async () => {
  const task = createTask(() =>
    toThread(() => {
      throw new Error('there');
    }),
  );
  await expect(task).rejects.toThrow('there');
  expect(task.cancelled()).toBe(false);
});
