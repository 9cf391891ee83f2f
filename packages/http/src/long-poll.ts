import { getRunningLoop, rethrowCancelled, sleep } from '@aiokit/core';
import { isBreak, isTimeout } from './errors.ts';
import type { ParamRecord } from './params.ts';
import type { RequestOptions } from './request.ts';
import { backoff, resolveRetry } from './retry.ts';
import type { StandardSchema } from './schema.ts';
import type { ClientSession } from './session.ts';

export interface LongPollOptions<T> extends Omit<RequestOptions, 'params'> {
  params?: ParamRecord | undefined;
  /** Default: GET. */
  method?: string | undefined;
  /** Makes, of an answer, what the next question has beside `params`: from where to go on, mostly. */
  next?: ((answer: T) => ParamRecord) | undefined;
  schema?: StandardSchema<T> | undefined;
  /** The least time between two questions when there was nothing new, in ms. Default: 100. */
  interval?: number | undefined;
  /** The first delay after a broken connection, in ms; it doubles with each one, with jitter. Default: 500. */
  delay?: number | undefined;
  /** The longest delay, in ms. Default: 30,000. */
  maxDelay?: number | undefined;
}

/** Statuses that say: nothing has happened, ask again. */
const NOTHING_NEW = new Set([204, 304, 408, 504]);

/** The JSON answers of an address that is asked again and again, and answers when there is something to tell. */
export async function* longPollOf<T>(
  session: ClientSession,
  url: string | URL,
  options: LongPollOptions<T>,
): AsyncGenerator<T, void, undefined> {
  const { method = 'GET', next, schema, interval = 100, delay = 500, maxDelay = 30_000, ...request } = options;
  const policy = resolveRetry({ limit: Infinity, delay, maxDelay });
  const loop = getRunningLoop();
  let cursor: ParamRecord = {};
  let failures = 0;
  while (policy !== null) {
    const asked = loop.time();
    try {
      const params = { ...request.params, ...cursor };
      const response = await session.request(method, url, { ...request, params });
      failures = 0;
      if (NOTHING_NEW.has(response.status)) {
        response.release();
      } else {
        response.raiseForStatus();
        const answer = schema === undefined ? await response.json<T>() : await response.json(schema);
        if (next !== undefined) cursor = next(answer);
        yield answer;
        continue;
      }
    } catch (error) {
      rethrowCancelled(error);
      if (session.closed || !isBreak(error)) throw error;
      if (!isTimeout(error)) await sleep(backoff(policy, Math.min(++failures, 16)));
    }
    const rest = asked + interval - loop.time();
    if (rest > 0) await sleep(rest);
  }
}
