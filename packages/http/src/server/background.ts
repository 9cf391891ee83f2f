import { createTask, detached, type Task } from '@aiokit/core';
import { requestNow } from './request-context.ts';

/**
 * Runs `fn` as a task that outlives the request: neither the end of the response nor the client's leaving cancels it. The
 * server waits for it when it closes, as long as for requests.
 *
 * Outside of a request it is a task without an owner.
 *
 * @example
 * ```ts
 * app.post('/orders', async (c) => {
 *   const order = await save(await c.req.json());
 *   background(() => sendMail(order));
 *   return c.json(order, 201);
 * });
 * ```
 *
 * @see https://fastapi.tiangolo.com/tutorial/background-tasks/
 */
export function background(fn: () => unknown, options: { name?: string | undefined } = {}): Task<unknown> {
  const request = requestNow();
  const name = options.name ?? (fn.name === '' ? undefined : fn.name);
  if (request === undefined) return detached(() => createTask(fn, { name })) as Task<unknown>;
  return request.background(fn, name);
}
