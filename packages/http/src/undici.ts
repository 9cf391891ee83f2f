/**
 * undici's classes, each from its own file: undici's index would make its dispatcher the one of the platform's fetch, for
 * the whole process. Importing this package changes nothing global.
 */
import type * as undici from 'undici';
// @ts-expect-error undici declares its index alone
import api from 'undici/lib/api/index.js';
// @ts-expect-error
import ConnectorBuilder from 'undici/lib/core/connect.js';
// @ts-expect-error
import symbols from 'undici/lib/core/symbols.js';
// @ts-expect-error
import DispatcherClass from 'undici/lib/dispatcher/dispatcher.js';
// @ts-expect-error
import PoolClass from 'undici/lib/dispatcher/pool.js';
// @ts-expect-error
import poolBase from 'undici/lib/dispatcher/pool-base.js';
// @ts-expect-error
import cacheInterceptorFunction from 'undici/lib/interceptor/cache.js';

export const Dispatcher: typeof undici.Dispatcher = DispatcherClass;
export const buildConnector: typeof undici.buildConnector = ConnectorBuilder;

export const cacheInterceptor: typeof undici.interceptors.cache = cacheInterceptorFunction;
export const kAddClient: unique symbol = poolBase.kAddClient;
export const kBusy: unique symbol = symbols.kBusy;
export const kConnected: unique symbol = symbols.kConnected;
export const kDispatch: unique symbol = symbols.kDispatch;
export const kFree: unique symbol = symbols.kFree;
export const kNeedDrain: unique symbol = symbols.kNeedDrain;
export const kPoolNeedsDrain: unique symbol = poolBase.kNeedDrain;
export const kHTTP2Session: unique symbol = symbols.kHTTP2Session;
export const kHTTPContext: unique symbol = symbols.kHTTPContext;
export const kQueue: unique symbol = symbols.kQueue;
export const kPendingIdx: unique symbol = symbols.kPendingIdx;
export const kSize: unique symbol = symbols.kSize;

/** With what of it undici's types do not tell. */
export interface InnerPool extends undici.Pool {
  readonly [kConnected]: number;
  /** How many of its connections have room. */
  readonly [kFree]: number;
  /** How many requests it has, under way or waiting. */
  readonly [kSize]: number;
  [kAddClient](client: undici.Client): this;
  [kDispatch](options: undici.Dispatcher.DispatchOptions, handler: undici.Dispatcher.DispatchHandler): boolean;
}

export const Pool: new (origin: string | URL, options?: undici.Pool.Options) => InnerPool = PoolClass;

// request(), connect() and their kin, which the index gives to every dispatcher, and the proxies use.
Object.assign(Dispatcher.prototype, api);
