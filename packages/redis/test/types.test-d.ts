import type { Cluster as BaseCluster, Redis as BaseRedis } from 'ioredis';
import { expectTypeOf, test } from 'vitest';
import { Cluster, type Gap, type Message, Redis } from '../src/index.ts';

test('the clients go wherever ioredis’s go', () => {
  const redis = new Redis({ lazyConnect: true });
  const cluster = new Cluster([], { lazyConnect: true });
  expectTypeOf(redis).toExtend<BaseRedis>();
  expectTypeOf(cluster).toExtend<BaseCluster>();
  expectTypeOf(redis.duplicate()).toEqualTypeOf<Redis>();
  expectTypeOf(redis.get('k')).toEqualTypeOf<Promise<string | null>>();
  expectTypeOf(redis.with({ signal: new AbortController().signal })).toEqualTypeOf<Redis>();
  expectTypeOf(redis.detached()).toEqualTypeOf<Redis>();
});

test('results are inferred', () => {
  const redis = new Redis({ lazyConnect: true });
  expectTypeOf(redis.transaction(() => 1)).toEqualTypeOf<Promise<number>>();
  expectTypeOf(redis.transaction((tx) => tx.multi().get('k'))).toEqualTypeOf<
    Promise<[error: Error | null, result: unknown][]>
  >();
  expectTypeOf(redis.lock('l', {}, async () => 'x')).toEqualTypeOf<Promise<string>>();
  expectTypeOf(redis.cached('c', 1, () => ({ n: 1 })).result()).toEqualTypeOf<{ n: number }>();
  expectTypeOf(redis.listen('a')).toExtend<AsyncIterable<Message | Gap>>();
  expectTypeOf(redis.listen('a', { binary: true })).toExtend<AsyncIterable<Message<Buffer> | Gap>>();
});
