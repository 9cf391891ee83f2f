/**
 * A blocking command as a Future: BLPOP, BLMOVE, XREAD BLOCK and their kin.
 *
 * Its reply may be an element that exists nowhere else any more, so a cancel must not drop it. The command runs on a leased
 * connection; a cancel sends CLIENT UNBLOCK <id> ERROR on a second connection to the same node and waits for both replies:
 *
 * - UNBLOCKED, or the server's own timeout: the cancel took effect; the connection is clean.
 * - a value: it won the race. It is delivered, and the cancel stays pending for the next `await`.
 * - UNBLOCK says 0 and there is no reply: it has overtaken the command (12 in 1,000), or the reply is on its way. Again.
 * - not permitted, no such node, or no verdict in time: the connection is closed, and the error says `maybeLost`.
 *
 * The connection is given back only when both replies are in, so no UNBLOCK can hit the next command on it.
 */
import {
  Bridge,
  type CancelledError,
  type ClockTimer,
  currentDeadline,
  detached,
  type EventLoop,
  Future,
  type Guard,
  getRunningLoop,
  type Operation,
  trackIO,
} from '@aiokit/core';
import { Command as BaseCommand } from 'ioredis';
import type { BlockingCommand } from './blocking-commands.ts';
import { type CancelVerdict, publishCancel } from './cancel-channel.ts';
import { ConnectionClosedError, RedisCancelledError } from './errors.ts';
import { type Command, PASSAGE, type Passage } from './ioredis.ts';
import type { Lease } from './lease.ts';
import type { LeasePool } from './lease-pool.ts';
import type { Place, Router } from './router.ts';
import { withdraw } from './withdrawal.ts';

export interface BlockingOptions {
  readonly leases: LeasePool;
  readonly router: Router;
  readonly keyPrefix: string | Buffer | undefined;
  /** `null` for Buffers. */
  readonly encoding: 'utf8' | null;
  /** The bound on ending the command on the server, in ms. */
  readonly cancelGrace: number;
}

/** What ends a command before it has its reply. */
type Ending = 'cancel' | 'limit' | 'drain';

/** How much longer than the caller's own deadline the server waits, in ms: it is there in case this process is not. */
const MARGIN = 1_000;

export class BlockingCall extends Bridge<unknown> {
  private readonly blocking: BlockingCommand;
  private readonly options: BlockingOptions;
  private readonly loop: EventLoop = getRunningLoop();
  private readonly operation: Operation;
  /** In ms of the loop's clock. */
  private readonly deadline: number | null = currentDeadline();
  private readonly until: number;
  private limitTimer: ClockTimer | null = null;
  private line: Promise<Guard> | null = null;
  private lease: Lease | null = null;
  private command: Command | null = null;
  private passage: Passage = { sent: false, withdrawn: null };
  private ending: Ending | null = null;
  private cancelledAt = 0;
  private unblocking: Promise<void> | null = null;

  constructor(blocking: BlockingCommand, options: BlockingOptions) {
    super();
    this.blocking = blocking;
    this.options = options;
    this.until = blocking.limit === 0 ? Infinity : this.loop.time() + blocking.limit;
    this.operation = trackIO('redis', { label: blocking.describe(), open: true, fence: () => this.fence() });
    detached(() => void this.run());
  }

  protected override onCancel(): void {
    this.end('cancel');
  }

  private async run(): Promise<void> {
    try {
      const slot = await this.turn();
      if (slot === null) return this.finish(false);
      try {
        await this.follow();
      } finally {
        slot.release();
      }
    } catch (error) {
      if (!this.done()) this.setException(error);
    } finally {
      this.limitTimer?.cancel();
      this.operation.end();
    }
  }

  private async turn(): Promise<Guard | null> {
    const { leases } = this.options;
    if (!leases.isOpen()) throw new ConnectionClosedError('Connection is closed.');
    if (!this.loop.clock.real && this.until < Infinity) {
      // The server's time is not ours: it waits for ever, and our clock ends that.
      this.limitTimer = this.loop.clock.setTimer(this.until, () => this.end('limit'));
    }
    this.line = leases.turn();
    try {
      const slot = await this.line;
      if (this.ending === null) return slot;
      slot.release();
    } catch (error) {
      if (this.ending === null) throw error;
    }
    return null;
  }

  /** Runs the command, on one node after the other if a cluster sends it elsewhere. */
  private async follow(): Promise<void> {
    const { router } = this.options;
    let place = await router.place(this.makeCommand());
    for (let hops = 0; this.ending === null; ) {
      const reply = await this.runAt(place);
      if (reply === AGAIN) continue;
      if (!(reply instanceof Error)) return;
      if (++hops > MAX_HOPS) throw reply;
      place = await router.redirect(reply, this.makeCommand());
    }
    this.finish(false);
  }

  /** One blocking command on one connection. Settles the call, unless the reply is for `follow` to judge. */
  private async runAt(place: Place): Promise<unknown> {
    const { leases } = this.options;
    const lease = leases.lease(place.options);
    lease.onDrain = () => this.end('drain');
    this.lease = lease;
    try {
      const command = this.makeCommand();
      this.passage = { sent: false, withdrawn: null };
      command[PASSAGE] = this.passage;
      this.command = command;
      if (place.asking) lease.redis.sendCommand(new BaseCommand('asking'));
      lease.block(command);
      const reply = await command.promise.catch(asError);
      this.command = null;
      return this.judge(reply);
    } finally {
      await this.unblocking;
      this.unblocking = this.lease = null;
      leases.giveBack(lease);
    }
  }

  private judge(reply: unknown): unknown {
    if (reply instanceof Error) {
      if (this.ending !== null) return this.finish(this.passage.sent && !isUnblocked(reply), reply);
      if (this.options.router.isRedirection(reply)) return reply;
      throw reply;
    }
    if (reply !== null) {
      if (this.ending === 'cancel') this.tell('delivered');
      return this.setResult(reply);
    }
    if (this.ending !== null) return this.finish(false);
    // The server's limit was the deadline's, and the deadline has been moved meanwhile.
    if (this.until > this.loop.time() + 1 && this.serverLimit() !== this.blocking.limit) return AGAIN;
    return this.setResult(null);
  }

  /** Ends the call without a value. */
  private finish(maybeLost: boolean, cause?: Error): void {
    if (this.done()) return;
    if (this.ending === 'cancel') {
      this.tell(maybeLost ? 'closed' : this.passage.sent ? 'unblocked' : 'unsent');
      const request = this.cancelRequest as CancelledError;
      this.setCancelled(maybeLost ? new RedisCancelledError(request, { sent: true, maybeLost, cause }) : request);
    } else if (this.ending === 'drain') {
      this.setException(new ConnectionClosedError('Connection is closed.'));
    } else if (maybeLost) {
      this.setException(cause);
    } else {
      this.setResult(null);
    }
  }

  private tell(verdict: CancelVerdict): void {
    publishCancel(this.blocking, verdict, this.cancelledAt);
  }

  private end(ending: Ending): void {
    if (ending === 'cancel') this.cancelledAt = performance.now();
    if (this.ending !== null || this.done()) {
      if (ending === 'cancel') this.ending = 'cancel';
      return;
    }
    this.ending = ending;
    const { line, lease, command } = this;
    if (command === null || lease === null) {
      if (line instanceof Future && !line.done()) line.cancel();
      this.finish(false);
    } else if (!this.passage.sent || !lease.isBlocked()) {
      withdraw(command, this.passage);
    } else {
      this.passage.withdrawn = 'dropped'; // Not to be sent again, if the connection breaks now.
      this.unblocking = detached(() => this.unblock(lease));
    }
  }

  /** Ends the command on the server; returns when no CLIENT UNBLOCK of ours is under way any more. */
  private async unblock(lease: Lease): Promise<void> {
    const { leases, cancelGrace } = this.options;
    const bound = setTimeout(() => lease.close(), cancelGrace).unref();
    try {
      const id = leases.cannotUnblock ? null : await lease.clientId();
      if (id === null) return lease.close();
      for (let pause = 0; this.command !== null; pause = Math.min(2 * pause + 1, 32)) {
        const control = leases.control(lease);
        await control.connected(this.replied());
        if (this.command === null) return;
        if (control.address() !== lease.address()) return lease.close();
        const answer = await control.redis.client('UNBLOCK', id, 'ERROR');
        await (Number(answer) === 1 ? this.replied() : delay(pause));
      }
    } catch (error) {
      if (isForbidden(error)) leases.cannotUnblock = true;
      lease.close();
    } finally {
      clearTimeout(bound);
    }
  }

  private async replied(): Promise<void> {
    await this.command?.promise.catch(ignore);
  }

  private makeCommand(): Command {
    const { keyPrefix, encoding } = this.options;
    const args = this.blocking.withLimit(this.serverLimit());
    const made = new BaseCommand(this.blocking.name, args as never, {
      replyEncoding: encoding,
      ...(keyPrefix === undefined ? {} : { keyPrefix: keyPrefix as string }),
    });
    return made as unknown as Command;
  }

  /** How long the server is to wait, in ms; 0 for ever. */
  private serverLimit(): number {
    const { limit } = this.blocking;
    const { clock } = this.loop;
    if (!clock.real) return 0;
    const now = clock.now();
    if (this.deadline === null || this.deadline <= now) return limit;
    const untilDeadline = this.deadline - now + MARGIN;
    return limit === 0 || untilDeadline < limit ? untilDeadline : limit;
  }

  /** Everything that the server had sent before is here: it wrote to us before it answered, and a turn reads it all. */
  private async fence(): Promise<void> {
    const { lease } = this;
    if (lease === null) return;
    const control = this.options.leases.control(lease);
    await control.connected(this.replied());
    await detached(() => control.redis.ping());
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const AGAIN = Symbol('again');

/** How many redirections a cluster may ask for, as ioredis has it. */
const MAX_HOPS = 16;

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function isUnblocked(error: Error): boolean {
  return error.message.startsWith('UNBLOCKED client unblocked via CLIENT UNBLOCK');
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && /^(NOPERM|ERR unknown (sub)?command)/i.test(error.message);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => void (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
}

function ignore(): void {}
