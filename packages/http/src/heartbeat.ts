import { type ClockTimer, getRunningLoop } from '@aiokit/core';
import type { WebSocket as RawWebSocket } from 'ws';

/** Pings a peer that is silent, and says when it does not answer any more. Keeps no process alive. */
export class Heartbeat {
  private readonly raw: RawWebSocket;
  private readonly interval: number;
  private readonly onGone: (error: Error) => void;
  private readonly clock = getRunningLoop().clock;
  private timer: ClockTimer | null = null;
  private readonly onPong = () => this.waitForNext();

  /** @param interval in ms; the peer has half of it for its answer. */
  constructor(raw: RawWebSocket, interval: number, onGone: (error: Error) => void) {
    this.raw = raw;
    this.interval = interval;
    this.onGone = onGone;
    raw.on('pong', this.onPong);
    this.waitForNext();
  }

  stop(): void {
    this.timer?.cancel();
    this.raw.off('pong', this.onPong);
  }

  private waitForNext(): void {
    this.setTimer(this.interval, () => {
      this.raw.ping();
      const patience = this.interval / 2;
      this.setTimer(patience, () => this.onGone(new Error(`no answer to a ping within ${patience} ms`)));
    });
  }

  private setTimer(ms: number, callback: () => void): void {
    this.timer?.cancel();
    this.timer = this.clock.setTimer(this.clock.now() + ms, callback).unref();
  }
}
