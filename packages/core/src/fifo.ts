/**
 * A first-in, first-out queue on an array: `Array.prototype.shift` moves every element once there are many.
 */
import type { Clock } from './clock.ts';

export class Fifo<T> {
  private items: (T | undefined)[] = [];
  private head = 0;
  private tail = 0;

  get length(): number {
    return this.tail - this.head;
  }

  push(item: T): void {
    this.items[this.tail++] = item;
  }

  shift(): T | undefined {
    if (this.head === this.tail) return undefined;
    const item = this.items[this.head];
    this.items[this.head++] = undefined;
    // Empty: begin anew in the same array. Mostly empty and long: let the front go.
    if (this.head === this.tail) this.head = this.tail = 0;
    else if (this.head >= 1024 && this.head * 2 >= this.tail) this.reset(this.items.slice(this.head, this.tail));
    return item;
  }

  /** As `shift`, but a clock that explores orders may choose another one. */
  take(clock: Clock, what: 'start' | 'yield' | 'deliver'): T | undefined {
    if (clock.pick === undefined || this.length < 2) return this.shift();
    const ready = [...this];
    const [item] = ready.splice(clock.pick(ready, what), 1);
    this.reset(ready);
    return item;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.head; i < this.tail; i++) yield this.items[i] as T;
  }

  private reset(items: (T | undefined)[]): void {
    this.items = items;
    this.head = 0;
    this.tail = items.length;
  }
}
