import { type EventLoop, rethrowCancelled } from '@aiokit/core';

/** The clock that all instances share: the engine's. This machine's may be wrong by seconds. */
export class EngineClock {
  /** By how many ms it is ahead of this machine's. */
  offset = 0;
  private readonly loop: EventLoop;
  private readonly ask: () => Promise<number>;
  private readonly onError: (error: unknown) => void;

  constructor(loop: EventLoop, ask: () => Promise<number>, onError: (error: unknown) => void) {
    this.loop = loop;
    this.ask = ask;
    this.onError = onError;
  }

  /** Ms since 1970. */
  now(): number {
    return this.loop.clock.wallTime() + this.offset;
  }

  async compare(): Promise<void> {
    const { clock } = this.loop;
    try {
      const before = clock.wallTime();
      const there = await this.ask();
      this.offset = Math.round(there - (before + clock.wallTime()) / 2);
    } catch (error) {
      rethrowCancelled(error);
      this.onError(error);
    }
  }
}
