import { type Future, shared } from '@aiokit/core';
import { checkFunction, checkMs, checkName } from './check.ts';

/** The two commands that it needs. */
interface Store {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, unit: 'PX', ttl: number): Promise<unknown>;
}

/** Values that Redis keeps for a time, as JSON, with one load per key at a time in this process. */
export class Cache {
  private readonly store: Store;
  private readonly flights = new Map<string, () => Future<unknown>>();

  constructor(store: Store) {
    this.store = store;
  }

  get<R>(key: string, ttl: number, load: () => R): Future<Awaited<R>> {
    checkName(key, 'key');
    checkMs(ttl, 'ttl', 1);
    checkFunction(load, 'load');
    let flight = this.flights.get(key);
    if (flight === undefined) {
      flight = shared(() => this.fly(key, ttl, load).finally(() => this.flights.delete(key)));
      this.flights.set(key, flight);
    }
    return flight() as Future<Awaited<R>>;
  }

  private async fly(key: string, ttl: number, load: () => unknown): Promise<unknown> {
    const found = await this.store.get(key);
    if (found !== null) return JSON.parse(found);
    const value = await load();
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`load must give something that JSON can hold, got ${String(value)}`);
    await this.store.set(key, text, 'PX', Math.ceil(ttl));
    return value;
  }
}
