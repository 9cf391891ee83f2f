import type { Socket } from 'node:net';
import { delay, realNow, turn } from '../real-time.ts';

/** What is wrong with one direction of a proxy; the same for all its connections. */
export interface LaneFaults {
  /** Milliseconds from a byte's arrival to its departure. */
  delay: number;
  /** The most bytes that leave at once. */
  split: number;
  held: boolean;
}

interface Item {
  /** What came in: data, or that the sender has closed. */
  readonly what: Buffer | 'end' | 'reset';
  readonly due: number;
}

// Bytes that wait here before the sender is told to wait.
const HIGH_WATER = 1024 ** 2;

/** One direction of one connection: what comes in leaves in the same order, with the faults of the moment. */
export class FaultLane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #faults: Readonly<LaneFaults>;
  readonly #queue: Item[] = [];
  #waiting = 0;
  #draining = false;
  #dropped = false;

  constructor(source: Socket, sink: Socket, faults: Readonly<LaneFaults>) {
    this.#source = source;
    this.#sink = sink;
    this.#faults = faults;
  }

  /** Bytes that have come in and not left yet. */
  get waiting(): number {
    return this.#waiting;
  }

  push(what: Item['what']): void {
    if (this.#dropped) return;
    this.#queue.push({ what, due: realNow() + this.#faults.delay });
    this.#count(sizeOf(what));
    this.wake();
  }

  /** From now on nothing leaves any more: neither data nor the news that the sender has closed. */
  drop(): void {
    this.#dropped = true;
    this.#queue.length = 0;
    this.#count(-this.#waiting);
  }

  /** Goes on after a fault was taken away. */
  wake(): void {
    if (!this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (let item = this.#queue[0]; item && !this.#faults.held; item = this.#queue[0]) {
      const early = item.due - realNow();
      if (early > 0) {
        await delay(early, { keepsProcess: false });
        continue; // in between it may have been held, or dropped
      }
      this.#queue.shift();
      await this.#forward(item.what);
    }
    this.#draining = false;
  }

  async #forward(what: Item['what']): Promise<void> {
    if (what === 'end') return void this.#sink.end();
    if (what === 'reset') return reset(this.#sink);
    for (let start = 0; start < what.length && !this.#dropped; start += this.#faults.split) {
      const piece = what.subarray(start, start + this.#faults.split);
      await this.#write(piece);
      this.#count(-piece.length);
      if (piece.length < what.length) await letRead();
    }
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#sink.write(bytes, () => resolve()); // its error, if any, is the connection's, and handled there
    });
  }

  #count(bytes: number): void {
    this.#waiting = Math.max(0, this.#waiting + bytes);
    if (this.#waiting > HIGH_WATER) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}

/** Two turns: between them the event loop looks for input once, so a receiver in this process finds one piece at a time. */
async function letRead(): Promise<void> {
  await turn();
  await turn();
}

/** Ends a connection as a crash does: the other side gets ECONNRESET instead of an end. */
export function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy(); // unix sockets know no reset
  }
}

function sizeOf(what: Item['what']): number {
  return typeof what === 'string' ? 0 : what.length;
}
