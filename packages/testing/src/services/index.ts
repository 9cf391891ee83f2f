export {
  type CancelRequestFault,
  type Direction,
  type DirectionOptions,
  type FaultProxy,
  type FaultProxyOptions,
  faultProxy,
  type ProxyTarget,
} from './fault-proxy.ts';
export { type PostgresOptions, type PostgresServer, type PostgresSettings, postgres } from './postgres.ts';
export type { PostgresDatabase, PostgresDatabaseOptions } from './postgres-database.ts';
export { type RedisOptions, type RedisServer, type RedisSettings, redis } from './redis.ts';
export { type RedisCluster, type RedisClusterOptions, redisCluster } from './redis-cluster.ts';
export type { RedisDatabase } from './redis-database.ts';
export { type RedisSentinel, type RedisSentinelOptions, redisSentinel } from './redis-sentinel.ts';
export type { ServerControl } from './server-process.ts';
