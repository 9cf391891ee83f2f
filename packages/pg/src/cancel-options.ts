import { inspect } from 'node:util';

/** What a cancel does to a statement that the server is working on. */
export interface CancelOptions {
  /**
   * - `'server'` (default): a CancelRequest stops the statement on the server, and the connection lives on.
   * - `'close'`: the connection is closed. The server may go on until it notices (see `client_connection_check_interval`).
   * - `'ignore'`: nothing. The statement runs to its end, its value is delivered, and the cancel waits for the next `await`.
   */
  cancel?: 'server' | 'close' | 'ignore' | undefined;
  /**
   * What becomes of a connection whose CancelRequest may still be on its way: the statement ended by itself, or a proxy stands
   * between here and the server.
   *
   * - `'destroy'` (default): its holder may go on, but it does not go back to the pool.
   * - `'trust'`: it is used again. Safe if nothing stands between here and the server, or only what closes the connection of a
   *   CancelRequest when the server does.
   */
  afterCancel?: 'destroy' | 'trust' | undefined;
  /** How long, in ms, the server has to stop a statement before its connection is destroyed. Default: 5000. */
  cancelGrace?: number | undefined;
}

declare module 'pg' {
  interface ClientConfig extends CancelOptions {}
  interface QueryConfig<I> extends CancelOptions {}
}

export interface ResolvedCancelOptions {
  readonly cancel: 'server' | 'close' | 'ignore';
  readonly afterCancel: 'destroy' | 'trust';
  readonly cancelGrace: number;
}

const DEFAULTS: ResolvedCancelOptions = { cancel: 'server', afterCancel: 'destroy', cancelGrace: 5000 };

/** The options of a statement, a client or a pool, over those of what it belongs to. */
export function cancelOptions(options: CancelOptions, base: ResolvedCancelOptions = DEFAULTS): ResolvedCancelOptions {
  const { cancel, afterCancel, cancelGrace } = options;
  if (cancel === undefined && afterCancel === undefined && cancelGrace === undefined) return base;
  checkOneOf(cancel, 'cancel', ['server', 'close', 'ignore']);
  checkOneOf(afterCancel, 'afterCancel', ['destroy', 'trust']);
  if (cancelGrace !== undefined && !(typeof cancelGrace === 'number' && cancelGrace > 0)) {
    throw new RangeError(`cancelGrace must be a number of milliseconds above 0, got ${inspect(cancelGrace)}`);
  }
  return {
    cancel: cancel ?? base.cancel,
    afterCancel: afterCancel ?? base.afterCancel,
    cancelGrace: cancelGrace ?? base.cancelGrace,
  };
}

function checkOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value as string)) return;
  throw new RangeError(`${name} must be one of ${allowed.map((a) => `'${a}'`).join(', ')}, got ${inspect(value)}`);
}
