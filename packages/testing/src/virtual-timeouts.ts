import { AsyncResource } from 'node:async_hooks';
import type { ClockTimer } from '@aiokit/core';
import type { VirtualClock } from './virtual-clock.ts';

type Callback = (...args: unknown[]) => void;

/** What `setTimeout` and `setInterval` return in virtual time: as Node's `Timeout`. */
class VirtualTimeout {
  private readonly id = nextId++;
  private readonly clock: VirtualClock;
  private readonly fire: () => void;
  private readonly ms: number;
  private referenced = true;
  private timer: ClockTimer | null = null;

  constructor(clock: VirtualClock, ms: number | undefined, fire: () => void) {
    this.clock = clock;
    // Node's rule: less than 1, more than 2^31-1 or not a number is 1.
    const delay = Number(ms);
    this.ms = delay >= 1 && delay <= 2 ** 31 - 1 ? Math.trunc(delay) : 1;
    this.fire = AsyncResource.bind(fire);
    this.arm();
  }

  arm(): void {
    live.set(this.id, this);
    this.timer = this.clock.setTimer(this.clock.now() + this.ms, () => {
      this.timer = null;
      live.delete(this.id);
      this.fire();
    });
    if (!this.referenced) this.timer.unref();
  }

  close(): this {
    this.timer?.cancel();
    this.timer = null;
    live.delete(this.id);
    return this;
  }

  refresh(): this {
    this.timer?.cancel();
    this.arm();
    return this;
  }

  ref(): this {
    if (!this.referenced) {
      this.referenced = true;
      if (this.timer !== null) this.refresh();
    }
    return this;
  }

  unref(): this {
    this.referenced = false;
    this.timer?.unref();
    return this;
  }

  hasRef(): boolean {
    return this.referenced;
  }

  [Symbol.toPrimitive](): number {
    return this.id;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Far from Node's own numbers: `clearTimeout(Number(timeout))` must not meet one of them. */
let nextId = 2 ** 40;
const live = new Map<number, VirtualTimeout>();

export function virtualTimeout(
  clock: VirtualClock,
  callback: Callback,
  ms: number | undefined,
  args: unknown[],
): object {
  checkCallback(callback);
  return new VirtualTimeout(clock, ms, () => callback(...args));
}

export function virtualInterval(
  clock: VirtualClock,
  callback: Callback,
  ms: number | undefined,
  args: unknown[],
): object {
  checkCallback(callback);
  const timeout: VirtualTimeout = new VirtualTimeout(clock, ms, () => {
    timeout.arm(); // First, so that the callback may stop it.
    callback(...args);
  });
  return timeout;
}

/** Takes a timer back, if it is a virtual one: the object or its number. */
export function cancelVirtualTimer(timer: unknown): boolean {
  const found =
    timer instanceof VirtualTimeout ? timer : live.get(Number(typeof timer === 'object' ? Number.NaN : timer));
  found?.close();
  return found !== undefined;
}

function checkCallback(callback: unknown): void {
  if (typeof callback === 'function') return;
  throw Object.assign(new TypeError(`The "callback" argument must be of type function. Received ${typeof callback}`), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
}
