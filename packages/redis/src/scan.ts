/** SCAN and its kin as async iterables. A cancel, or leaving the loop, ends them between two pages. */
import { until } from '@aiokit/core';
import type { Cluster as BaseCluster, Redis as BaseRedis } from 'ioredis';
import { checkCount, checkName } from './check.ts';
import type { AnyClient } from './ioredis.ts';

export interface ScanOptions {
  /** Only names that match this glob, such as `user:*`. */
  match?: string;
  /** About how many the server looks at per page. Default: the server's, 10. */
  count?: number;
}

export interface ScanKeysOptions extends ScanOptions {
  /** Only keys of this type, such as `'hash'`. Needs Redis 6. */
  type?: string;
}

export async function* scanKeys(client: AnyClient, options: ScanKeysOptions = {}): AsyncGenerator<string, void, void> {
  const args = argumentsOf(options);
  for (const node of await nodesOf(client)) {
    yield* pages((cursor) => until(node.call('scan', cursor, ...args) as Promise<Page>));
  }
}

export async function* scanMembers(
  client: AnyClient,
  key: string,
  options?: ScanOptions,
): AsyncGenerator<string, void, void> {
  const args = argumentsOf(options);
  yield* pages((cursor) => (client as BaseRedis).call('sscan', key, cursor, ...args) as Promise<Page>);
}

export async function* scanPairs(
  client: AnyClient,
  command: 'hscan' | 'zscan',
  key: string,
  options?: ScanOptions,
): AsyncGenerator<[string, string], void, void> {
  const args = argumentsOf(options);
  let first: string | null = null;
  for await (const item of pages(
    (cursor) => (client as BaseRedis).call(command, key, cursor, ...args) as Promise<Page>,
  )) {
    if (first === null) {
      first = item;
    } else {
      yield [first, item];
      first = null;
    }
  }
}

type Page = [cursor: string, items: string[]];

async function* pages(read: (cursor: string) => PromiseLike<Page>): AsyncGenerator<string, void, void> {
  let cursor = '0';
  do {
    const [next, items] = await read(cursor);
    yield* items;
    cursor = String(next);
  } while (cursor !== '0');
}

/** Keys are spread over the masters of a cluster. */
async function nodesOf(client: AnyClient): Promise<readonly BaseRedis[]> {
  if (!client.isCluster) return [client as BaseRedis];
  const cluster = client as BaseCluster;
  if (cluster.nodes('master').length === 0) await cluster.ping(); // It is not connected yet.
  return cluster.nodes('master');
}

function argumentsOf({ match, count, type }: ScanKeysOptions = {}): (string | number)[] {
  const args: (string | number)[] = [];
  if (match !== undefined) {
    checkName(match, 'options.match');
    args.push('MATCH', match);
  }
  if (count !== undefined) {
    checkCount(count, 'options.count', 1);
    args.push('COUNT', count);
  }
  if (type !== undefined) {
    checkName(type, 'options.type');
    args.push('TYPE', type);
  }
  return args;
}
