import { currentScope, detached, getRunningLoop, peekPending, trackIO } from '@aiokit/core';
import type pg from 'pg';
import { ConnectCall, StatementCall } from './bridge/index.ts';
import { type CancelOptions, cancelOptions, type ResolvedCancelOptions } from './cancel-options.ts';
import { Cancellation } from './cancellation.ts';
import { askWhetherDirect } from './direct.ts';
import type { Lease, Source } from './lease.ts';
import { type BackendMessage, type Callback, PgClient, PgQuery, type QueuedQuery } from './pg-internals.ts';
import { type Queries, queries } from './queries.ts';
import { isTransactionControl } from './statement.ts';
import { adopt } from './submittables.ts';
import { publishVerdict, type Verdict } from './verdict.ts';

export interface Client extends Omit<Queries, 'copyFrom' | 'copyTo'> {} // pg's types have other methods of these names.

/**
 * pg's `Client`, whose statements stop on the server when the task that waits for them is cancelled. Outside of tasks and
 * timeouts it is pg's `Client`.
 *
 * @example
 * ```ts
 * const client = new Client();
 * await client.connect();
 * await timeout(1000, () => client.query('select pg_sleep(60)')); // TimeoutError, and nothing runs on
 * await client.end();
 * ```
 *
 * @see https://node-postgres.com/apis/client
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods are assigned below
export class Client extends PgClient implements Source {
  /** @internal */ readonly _cancelOptions: ResolvedCancelOptions;
  /** @internal Once a statement has run that can be cancelled: outside of tasks nobody asks when. */ _isTimed = false;
  /** @internal When the running statement was written, on `performance.now()`. */ _activeSince = 0;
  /** @internal Must not be used by anybody else: see `afterCancel`. */ _tainted = false;
  /** @internal Must not be used by anybody else unless it leads straight to the server. */ _needsProof = false;
  /** @internal Told of every verdict. */ _onVerdict: ((verdict: Verdict) => void) | null = null;
  /** @internal A time limit of the server may end a statement with the code of a cancel. */ _mayTimeOut: boolean;
  private cancellation: Cancellation | null = null;
  /** Statements that are not written yet because a cancel is pending that their `await` is about to meet. */
  private holds = 0;
  private readonly settledCallbacks: (() => void)[] = [];
  private isDirect: boolean | null = null;
  private isAsking = false;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const options: CancelOptions = typeof config === 'object' ? config : {};
    this._cancelOptions = cancelOptions(options);
    this._mayTimeOut = Boolean(this.connectionParameters.statement_timeout);
    this.connection.once('end', () => {
      this.cancellation?.connectionEnded();
      setImmediate(() => this.checkSettled());
    });
  }

  override connect(): Promise<Client>;
  override connect(callback: ((error: Error) => void) | ((error: null, client: pg.Client) => void)): void;
  override connect(callback?: unknown): Promise<Client> | void {
    const connect = (done: unknown) => super.connect(whileTimeStands(this, done as (error: Error) => void));
    if (currentScope() === null) return callback ? connect(callback) : (super.connect() as Promise<Client>);
    // The connection outlives the task: its socket's events must not run in it.
    const call = new ConnectCall<Client>(this).start((done) => detached(() => connect(done)));
    if (callback === undefined) return call;
    call.tell(callback as Callback<Client>);
  }

  /** @internal `query`. */
  _query(config: unknown, values?: unknown, callback?: unknown): unknown {
    const scope = currentScope();
    if (scope === null || config === null || config === undefined) {
      return pgQuery.call(this, config, values, callback);
    }
    if (isSubmittable(config)) {
      adopt(this, config);
      return pgQuery.call(this, config, values, callback);
    }
    const { query, told } = makeQuery(config, values, callback);
    const call = new StatementCall(query, ownCancelOptions(config, this._cancelOptions), scope.loop);
    call.submit(this);
    if (told === undefined) return call;
    call.tell(told);
    return undefined;
  }

  /** @internal A client has one connection: its own. */
  async _lease(): Promise<Lease> {
    return { client: this, release: nothing };
  }

  /** @internal As `query`, for a submittable that obeys cancels already. */
  _submit(query: QueuedQuery): void {
    pgQuery.call(this, query);
  }

  /** @internal Puts a statement into pg's queue. */
  _enqueue(query: QueuedQuery): void {
    // A cancel is pending that the caller's `await` is about to meet: until then the statement stays here, unsent.
    if (peekPending(currentScope()) !== null && !isTransactionControl(query.text)) {
      this.holds++;
      setImmediate(() => {
        this.holds--;
        this._pulseQueryQueue();
      });
    }
    pgQuery.call(this, query);
  }

  /** @internal Takes a statement back that has not been written. */
  _withdraw(query: QueuedQuery): boolean {
    const index = this._queryQueue.indexOf(query);
    if (index < 0) return false;
    this._queryQueue.splice(index, 1);
    this._cancelledWithoutRequest();
    return true;
  }

  /** @internal */
  _cancelledWithoutRequest(): void {
    this.tell('clean', 0);
  }

  /** @internal */
  _isActive(query: QueuedQuery): boolean {
    return this._activeQuery === query;
  }

  /** @internal Stops the running statement on the server. Nothing more is written until there is a verdict. */
  _cancel(options: ResolvedCancelOptions, isAmbiguous: boolean): Cancellation {
    if (this.cancellation !== null) return this.cancellation;
    const cancellation = new Cancellation(this, options, isAmbiguous);
    this.cancellation = cancellation;
    cancellation.start();
    return cancellation;
  }

  /** @internal */
  _cancellationEnded(verdict: Verdict, afterCancel: ResolvedCancelOptions['afterCancel'], duration: number): void {
    this.cancellation = null;
    if (afterCancel === 'destroy') {
      if (verdict === 'tainted') this._tainted = true;
      if (verdict === 'consumed') this._needsProof = this.isDirect !== true;
    }
    this.tell(verdict, duration);
    this.checkSettled();
    this._pulseQueryQueue();
  }

  /** @internal Finds out whether nothing is left of the cancels on this connection. If that cannot be known, it is tainted. */
  _prove(done: () => void): void {
    this.isAsking = true;
    askWhetherDirect(this, (isDirect) => {
      this.isAsking = false;
      this.isDirect = isDirect;
      this._needsProof = false;
      if (!isDirect) this._tainted = true;
      this.settledCallbacks.unshift(done); // Whoever waits already may count on this having been done.
      this.checkSettled();
    });
  }

  /** @internal Calls back when the connection's state is known: no cancel is under way, no ReadyForQuery is missing. */
  _whenSettled(callback: () => void): void {
    if (this._isSettled()) callback();
    else this.settledCallbacks.push(callback);
  }

  /** @internal Calls back when no cancel is under way. */
  _whenCancelEnded(callback: () => void): void {
    if (this.cancellation === null) callback();
    else this._whenSettled(callback);
  }

  /** @internal */
  _isSettled(): boolean {
    if (this._ended) return true;
    return this.cancellation === null && !this.isAsking && (this.readyForQuery === true || Boolean(this._activeQuery));
  }

  /** @internal Closes the connection without a word, and without an 'error' event: it is on purpose. */
  _destroy(): void {
    if (!this._connecting) this._ending = true; // While it connects, pg must tell whoever waits for the connection.
    this.connection._ending = true;
    this.connection.stream.destroy();
  }

  /** @internal pg asks here whether the next statement may be written. */
  override _pulseQueryQueue(): void {
    if (this.cancellation !== null || this.holds > 0) return;
    const wasReady = this.readyForQuery;
    super._pulseQueryQueue();
    if (this._isTimed && wasReady && !this.readyForQuery) this._activeSince = performance.now();
  }

  /** @internal */
  override _handleReadyForQuery(message: BackendMessage): void {
    this.cancellation?.readySeen();
    super._handleReadyForQuery(message);
    this.checkSettled();
  }

  /** @internal */
  override _handleErrorMessage(message: BackendMessage): void {
    this.cancellation?.errorSeen(message);
    super._handleErrorMessage(message);
  }

  private checkSettled(): void {
    while (this.settledCallbacks.length > 0 && this._isSettled()) this.settledCallbacks.shift()?.();
  }

  private tell(verdict: Verdict, duration: number): void {
    this._onVerdict?.(verdict);
    publishVerdict({ client: this, verdict, processId: this.processID, duration });
  }
}

Object.assign(Client.prototype, queries);
// So that pg's types stay: an override would have to repeat all its overloads.
Client.prototype.query = Client.prototype._query as Client['query'];

const pgQuery = PgClient.prototype.query as (this: Client, ...args: unknown[]) => unknown;

function isSubmittable(config: unknown): config is QueuedQuery {
  return typeof (config as Partial<QueuedQuery>).submit === 'function';
}

/** pg's Query, and who is to be told instead of an awaiter. */
export function makeQuery(
  config: unknown,
  values: unknown,
  callback: unknown,
): { query: QueuedQuery; told: Callback<pg.QueryResult> | undefined } {
  const query = new PgQuery(config, typeof values === 'function' ? undefined : values);
  const told = callback ?? (typeof values === 'function' ? values : query.callback);
  if (told !== undefined && typeof told !== 'function') throw new TypeError('callback is not a function');
  if (typeof config === 'object') query.query_timeout = (config as QueuedQuery).query_timeout;
  return { query, told: told as Callback<pg.QueryResult> | undefined };
}

/** The options that a query's config sets, or null if it leaves everything as it is. */
export function ownCancelOptions(config: unknown, base: ResolvedCancelOptions): ResolvedCancelOptions | null {
  if (typeof config !== 'object') return null;
  const options = cancelOptions(config as CancelOptions, base);
  return options === base ? null : options;
}

/** Virtual time waits for a connection that is being made, also for a pool, where nobody's call shows it. */
function whileTimeStands<A extends unknown[]>(
  { host, port }: Client,
  done: (...args: A) => void,
): (...args: A) => void {
  if (getRunningLoop().clock.real) return done;
  const operation = trackIO('pg connect', { label: `${host}:${port}` });
  return (...args) => {
    done(...args);
    operation.end();
  };
}

function nothing(): undefined {}
