import { AsyncLocalStorage } from 'node:async_hooks';
import { inspect } from 'node:util';
import { currentDeadline, getRunningLoop, Lock, sleep, timeout } from '@aiokit/core';
import type { Client } from './client.ts';
import { finish, type Lease, type Source } from './lease.ts';
import type { Queries } from './queries.ts';

export interface TransactionOptions {
  isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable' | undefined;
  readOnly?: boolean | undefined;
  /** For `isolation: 'serializable'` with `readOnly`: waits for a snapshot that cannot fail. */
  deferrable?: boolean | undefined;
  /**
   * How often the body may be run again, in a new transaction, when the server gives up with 40001 (serialization failure) or
   * 40P01 (deadlock). `true` is 5. Default: 0. The body must then have no effects outside of the database.
   */
  retry?: number | boolean | undefined;
  /** The limit for everything, in ms: the wait for a connection, the body, all attempts. */
  timeout?: number | undefined;
  /** Statements that code inside sends to the pool itself, `pool.query` and so on, are part of the transaction. Default: false. */
  ambient?: boolean | undefined;
}

/**
 * COMMIT answered ROLLBACK: a statement had failed, the body went on as if nothing had happened, and the server has undone
 * everything. For a statement that may fail, use a nested transaction: only that is undone.
 */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';
  readonly code = 'ERR_TRANSACTION_ABORTED';

  constructor() {
    super(
      'The transaction was rolled back at COMMIT because one of its statements had failed and the error was swallowed. ' +
        'Run a statement that may fail in a nested transaction: await tx.transaction((inner) => inner.query(…))',
    );
  }
}

const SAVEPOINT_OPTIONS = ['isolation', 'readOnly', 'deferrable', 'retry'] as const;
const ISOLATION = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];
const RETRIES = 5;
/** How much later than the task's own deadline the server gives up, in ms: it is there for tasks that cannot any more. */
const DEADLINE_MARGIN = 1000;

const ambient = new AsyncLocalStorage<Transaction>();

/** An open transaction, or a savepoint in one. Statements of it, and of whoever else has its `client`, are part of it. */
export interface Transaction extends Queries {}
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: queries.ts assigns the methods
export class Transaction implements Source {
  /** The connection. For libraries that take a client; do not release it. */
  readonly client: Client;
  /** pg's `query`, on the connection of this transaction. */
  readonly query: Client['query'];
  /** @internal */ readonly _source: Source;
  /** @internal */ readonly _parent: Transaction | null;
  /** @internal */ readonly _isAmbient: boolean;
  /** @internal */ _isOpen = true;
  /** Savepoints are a stack: of two that run side by side, one would undo the other. */
  private readonly child = new Lock();

  /** @internal */
  constructor(client: Client, source: Source, parent: Transaction | null, isAmbient: boolean) {
    this.client = client;
    this.query = client.query.bind(client) as Client['query'];
    this._source = source;
    this._parent = parent;
    this._isAmbient = isAmbient;
  }

  /** @internal */
  async _lease(): Promise<Lease> {
    return { client: this.client, release: nothing };
  }

  /** @internal Runs the body in a savepoint of this transaction. */
  async _savepoint<R>(body: (tx: Transaction) => R): Promise<Awaited<R>> {
    const guard = await this.child.acquire();
    try {
      const name = `aiokit_${depthOf(this)}`;
      await this.client.query(`SAVEPOINT ${name}`);
      const inner = new Transaction(this.client, this._source, this, this._isAmbient);
      try {
        const value = await inner._run(body);
        await this.client.query(`RELEASE SAVEPOINT ${name}`);
        return value;
      } catch (error) {
        await undo(this.client, `ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`);
        throw error;
      }
    } finally {
      guard.release();
    }
  }

  /** @internal */
  async _run<R>(body: (tx: Transaction) => R): Promise<Awaited<R>> {
    try {
      return await ambient.run(this, async () => body(this));
    } finally {
      this._isOpen = false;
    }
  }
}

/** See `Queries.transaction`. */
export async function transaction<R>(
  source: Source,
  body: (tx: Transaction) => R,
  options: TransactionOptions = {},
): Promise<Awaited<R>> {
  check(body, options);
  const outer = openTransaction(source);
  const run = outer === null ? () => withRetries(source, body, options) : () => outer._savepoint(body);
  if (outer !== null) refuseOutside(options);
  return options.timeout === undefined ? run() : timeout(options.timeout, run);
}

/** The innermost transaction of this source that the current code runs in. */
export function openTransaction(source: Source): Transaction | null {
  const explicit = source instanceof Transaction ? source : null;
  for (let tx = ambient.getStore() ?? null; tx !== null; tx = tx._parent) {
    if (!tx._isOpen) continue;
    // The body of a nested transaction may use the outer one's methods: they act on the same connection.
    if (tx._source === source || tx.client === source || (explicit !== null && isWithin(tx, explicit))) return tx;
  }
  return explicit;
}

/** The transaction that statements sent to the pool itself belong to, if it is ambient. */
export function ambientTransaction(source: Source): Transaction | null {
  const tx = openTransaction(source);
  return tx?._isAmbient ? tx : null;
}

async function withRetries<R>(
  source: Source,
  body: (tx: Transaction) => R,
  options: TransactionOptions,
): Promise<Awaited<R>> {
  const retries = options.retry === true ? RETRIES : Number(options.retry ?? 0);
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(source, body, options);
    } catch (error) {
      if (attempt >= retries || !isRetryable(error)) throw error;
      await sleep(Math.random() * Math.min(1000, 10 * 2 ** attempt)); // A cancel ends it here.
    }
  }
}

async function once<R>(source: Source, body: (tx: Transaction) => R, options: TransactionOptions): Promise<Awaited<R>> {
  const lease = await source._lease();
  const { client } = lease;
  const mayTimeOut = client._mayTimeOut;
  const isAmbient = options.ambient ?? false;
  countAmbient(source, isAmbient, 1);
  try {
    const limit = serverLimit();
    if (limit !== null) client._mayTimeOut = true;
    await client.query(beginText(options, limit));
    let value: Awaited<R>;
    try {
      value = await new Transaction(client, source, null, isAmbient)._run(body);
    } catch (error) {
      await undo(client, 'ROLLBACK');
      throw error;
    }
    const { command } = await client.query('COMMIT');
    if (command === 'ROLLBACK') throw new TransactionAbortedError();
    return value;
  } finally {
    countAmbient(source, isAmbient, -1);
    client._mayTimeOut = mayTimeOut;
    await lease.release();
  }
}

function countAmbient(source: Source, isAmbient: boolean, change: 1 | -1): void {
  if (isAmbient) source._ambientTransactions = (source._ambientTransactions ?? 0) + change;
}

/** Undoes on the server. The error that led here is the one to tell: if this fails, too, the connection is given up. */
async function undo(client: Client, text: string): Promise<void> {
  try {
    await finish(client, () => client.query(text));
  } catch {
    client._destroy();
  }
}

function beginText({ isolation, readOnly, deferrable }: TransactionOptions, limit: number | null): string {
  let text = 'BEGIN';
  if (isolation !== undefined) text += ` ISOLATION LEVEL ${isolation.toUpperCase()}`;
  if (readOnly !== undefined) text += readOnly ? ' READ ONLY' : ' READ WRITE';
  if (deferrable !== undefined) text += deferrable ? ' DEFERRABLE' : ' NOT DEFERRABLE';
  return limit === null ? text : `${text}; SET LOCAL statement_timeout = ${limit}`;
}

/** What is left until the task's deadline, and a margin, in ms: in one message with BEGIN it costs no round trip. */
function serverLimit(): number | null {
  const deadline = currentDeadline();
  const loop = getRunningLoop();
  if (deadline === null || !loop.clock.real) return null;
  const limit = Math.ceil(Math.max(0, deadline - loop.time())) + DEADLINE_MARGIN;
  return limit < 2 ** 31 ? limit : null;
}

function isRetryable(error: unknown): boolean {
  for (let e = error, depth = 0; typeof e === 'object' && e !== null && depth < 8; depth++) {
    const { code, cause, driverError } = e as { code?: unknown; cause?: unknown; driverError?: unknown };
    if (code === '40001' || code === '40P01') return true;
    e = cause ?? driverError;
  }
  return false;
}

function isWithin(tx: Transaction, ancestor: Transaction): boolean {
  for (let t: Transaction | null = tx; t !== null; t = t._parent) if (t === ancestor) return true;
  return false;
}

function depthOf(tx: Transaction): number {
  return tx._parent === null ? 1 : depthOf(tx._parent) + 1;
}

function check(body: unknown, options: TransactionOptions): void {
  if (typeof body !== 'function') throw new TypeError(`body must be a function, got ${inspect(body)}`);
  const { isolation, retry, timeout: limit } = options;
  if (isolation !== undefined && !ISOLATION.includes(isolation)) {
    const allowed = ISOLATION.map((level) => `'${level}'`).join(', ');
    throw new RangeError(`isolation must be one of ${allowed}, got ${inspect(isolation)}`);
  }
  if (typeof retry === 'number' && !(Number.isInteger(retry) && retry >= 0)) {
    throw new RangeError(`retry must be an integer >= 0 or a boolean, got ${retry}`);
  }
  if (limit !== undefined && typeof limit !== 'number') {
    throw new TypeError(`timeout must be a number of milliseconds, got ${inspect(limit)}`);
  }
}

function refuseOutside(options: TransactionOptions): void {
  const given = SAVEPOINT_OPTIONS.filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  throw new TypeError(
    `${given.join(', ')} cannot be set for a nested transaction: it is a savepoint in the one that is open here. ` +
      'Give the option to the outermost transaction',
  );
}

function nothing(): undefined {}
