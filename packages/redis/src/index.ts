/**
 * A drop-in ioredis whose commands obey cancellation.
 *
 *   clients    redis.ts, cluster.ts                 the drop-ins; task-methods.ts is what they have beyond ioredis
 *   commands   bridge.ts, public-methods.ts         how a call becomes a Future; withdrawal.ts: what is never sent again
 *   blocking   blocking-call.ts, lease-pool.ts      BLPOP and its kin, on connections of their own
 *   together   subscription.ts, consumer.ts, …      pub/sub, streams, locks, transactions, caches
 */
export { CANCEL_CHANNEL, type CancelEvent, type CancelVerdict } from './cancel-channel.ts';
export { Cluster, type ClusterOptions } from './cluster.ts';
export type { ConsumeOptions, StreamEntry, StreamHandler } from './consumer.ts';
export { LockLostError, LockTimeoutError, RedisCancelledError, TransactionConflictError } from './errors.ts';
export type { Hold } from './hold.ts';
export type { DistributedLock, LockOptions } from './lock.ts';
export { Redis, Redis as default, type RedisOptions } from './redis.ts';
export type { ScanKeysOptions, ScanOptions } from './scan.ts';
export type { Gap, ListenOptions, Message, Subscription } from './subscription.ts';
export type { TaskMethods, TransactionResult } from './task-methods.ts';
export type { TransactionOptions } from './transaction.ts';
