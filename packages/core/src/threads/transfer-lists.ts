import type { Transferable } from 'node:worker_threads';

const KEY = Symbol.for('aiokit.transfers');

/** What is to be moved with a value. Shared by all copies of core, since a worker's own code may have another one. */
export function transferLists(): WeakMap<object, readonly Transferable[]> {
  const host = globalThis as { [KEY]?: WeakMap<object, readonly Transferable[]> };
  host[KEY] ??= new WeakMap();
  return host[KEY];
}

/** What is to be moved when these values are sent. */
export function transfersOf(values: readonly unknown[]): Transferable[] {
  const lists = transferLists();
  return values.flatMap((value) => (typeof value === 'object' && value !== null ? (lists.get(value) ?? []) : []));
}
