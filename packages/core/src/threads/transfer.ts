import type { Transferable } from 'node:worker_threads';
import { shown } from '../check.ts';
import { transferLists } from './transfer-lists.ts';

/**
 * Marks a value to be moved to or from a worker thread instead of copied. The sender can no longer use what was moved: after
 * a cancel it may be gone. Processes share no memory: they copy all the same.
 *
 * @param value an argument of a job, or what the job returns.
 * @param list what of it to move. Default: the value itself, or the buffer under a typed array.
 * @returns the value.
 *
 * @example
 * ```ts
 * const pixels = new Uint8Array(64 * 1024 * 1024);
 * const sum = await toThread((bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0), transfer(pixels));
 * ```
 */
export function transfer<T extends object>(value: T, list: readonly Transferable[] = wholly(value)): T {
  if (typeof value !== 'object' || value === null) throw new TypeError(`value must be an object, got ${shown(value)}`);
  transferLists().set(value, list);
  return value;
}

function wholly(value: object): readonly Transferable[] {
  return [(ArrayBuffer.isView(value) ? value.buffer : value) as Transferable];
}
