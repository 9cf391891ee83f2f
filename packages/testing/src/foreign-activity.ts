/**
 * What code in a task does behind core's back: files, names, keys, real timers, sockets of foreign drivers.
 *
 * A virtual clock must not jump while it is under way. async_hooks sees these requests begin and end, and costs next to
 * nothing when promises are left out (Node 24; on 22 they cannot be, and cost as much again as they do anyway). Only what
 * is begun by code of a task counts: the plumbing of pools and reconnects runs detached and is nobody's wait.
 *
 * Not seen by anything: zlib, WebAssembly, Atomics.waitAsync, worker threads. `trackIO` is there for them.
 */
import { createHook } from 'node:async_hooks';
import { currentTask, type EventLoop } from '@aiokit/core';
import { hasCallback, isCryptoJob, isMadeByWebCrypto } from './crypto-jobs.ts';
import { realNow } from './real-time.ts';

/** A request of foreign code. */
export interface ForeignRequest {
  readonly kind: string;
  /** Real time at which it began, in ms. */
  readonly since: number;
}

interface WatchedRequest extends ForeignRequest {
  /** A crypto job, if it may have been a synchronous one. */
  readonly job: object | null;
}

/** These end at their first callback. Others (sockets, file handles, processes) live on and say nothing about waiting. */
const REQUESTS = new Set([
  'FSREQCALLBACK',
  'FSREQPROMISE',
  'FILEHANDLECLOSEREQ',
  'GETADDRINFOREQWRAP',
  'GETNAMEINFOREQWRAP',
  'QUERYWRAP',
  'TCPCONNECTWRAP',
  'PIPECONNECTWRAP',
]);

/** Node's own names. */
interface NodeImmediate {
  /** It was cleared, or has run. */
  readonly _destroyed: boolean;
}

interface NodeTimeout extends NodeImmediate {
  readonly _idleTimeout: number;
  readonly _repeat: number | null;
  hasRef(): boolean;
}

/** A `setInterval` of a task. */
export interface ForeignInterval {
  readonly ms: number;
  /** Where it was set, if that is traced. */
  readonly site: Error | null;
}

interface ProcessHandle {
  /** False also when the process has ended. */
  hasRef(): boolean;
}

interface WatchedProcess {
  readonly handle: ProcessHandle;
  readonly since: number;
}

interface SocketHandle {
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

interface WatchedSocket {
  readonly handle: WeakRef<SocketHandle>;
  bytes: number;
  /** Real time of the last traffic seen. */
  traffic: number;
}

/** The foreign activity of one loop's tasks. */
export class ForeignActivity {
  private readonly requests = new Map<number, WatchedRequest>();
  private readonly immediates = new Set<NodeImmediate>();
  private readonly timers = new Map<NodeTimeout, Error | null>();
  private readonly processes = new Map<number, WatchedProcess>();
  private readonly sockets = new Set<WatchedSocket>();
  private readonly onEnd: () => void;
  /** Whether timers remember where they were set. */
  tracesTimers = false;

  /** @param onEnd called when a request has ended. */
  constructor(onEnd: () => void) {
    this.onEnd = onEnd;
  }

  /** The request that has been in flight for longest, or `null`. */
  oldest(): ForeignRequest | null {
    for (const [id, request] of this.requests) {
      if (request.job === null || hasCallback(request.job)) return request;
      this.requests.delete(id);
      owners.delete(id);
    }
    return null;
  }

  /** Whether a `setImmediate` of a task's waits for its turn. */
  get hasImmediate(): boolean {
    for (const immediate of this.immediates) {
      if (!immediate._destroyed) return true;
      this.immediates.delete(immediate);
    }
    return false;
  }

  /**
   * Whether a referenced `setTimeout` that a task made is set. Those longer than `limit` ms are idle timeouts and the like,
   * intervals are heartbeats: neither is anybody's wait.
   */
  hasTimer(limit: number): boolean {
    for (const timer of this.timers.keys()) {
      if (timer._destroyed) this.timers.delete(timer);
      else if (timer._idleTimeout <= limit && timer._repeat === null && timer.hasRef()) return true;
    }
    return false;
  }

  /** The intervals that are set and keep the process alive. A `setTimeout` ends by itself: drivers leave such behind. */
  pendingIntervals(): ForeignInterval[] {
    return [...this.timers]
      .filter(([timer]) => !timer._destroyed && timer.hasRef() && timer._repeat !== null)
      .map(([{ _idleTimeout: ms }, site]) => ({ ms, site }));
  }

  /**
   * Whether a referenced child process that a task has started runs. One that has run for more than `limit` ms is a server or
   * the like: nobody waits for its end.
   */
  hasProcess(limit: number): boolean {
    for (const [id, { handle, since }] of this.processes) {
      if (realNow() - since > limit) this.processes.delete(id);
      else if (handle.hasRef()) return true;
    }
    return false;
  }

  /** Real ms for which sockets that no adapter speaks for must stay quiet until they have been so for `quiet` ms. */
  noisyFor(quiet: number): number {
    const now = realNow();
    let left = 0;
    for (const socket of this.sockets) {
      const handle = socket.handle.deref();
      if (handle === undefined) {
        this.sockets.delete(socket);
        continue;
      }
      const bytes = (handle.bytesRead ?? 0) + (handle.bytesWritten ?? 0);
      if (bytes !== socket.bytes) {
        socket.bytes = bytes;
        socket.traffic = now;
      }
      left = Math.max(left, socket.traffic + quiet - now);
    }
    return left;
  }

  /** @internal */
  began(id: number, type: string, resource: object): boolean {
    if (type === 'Immediate') {
      this.immediates.add(resource as NodeImmediate);
    } else if (type === 'Timeout') {
      this.timers.set(resource as NodeTimeout, this.tracesTimers ? new Error('set here') : null);
    } else if (type === 'PROCESSWRAP') {
      this.processes.set(id, { handle: resource as ProcessHandle, since: realNow() });
      return true;
    } else if (type === 'TCPWRAP' || type === 'PIPEWRAP') {
      this.sockets.add({ handle: new WeakRef(resource as SocketHandle), bytes: 0, traffic: realNow() });
    } else if (REQUESTS.has(type) || isCryptoJob(type)) {
      const job = isCryptoJob(type) && !isMadeByWebCrypto() ? resource : null;
      this.requests.set(id, { kind: type, since: realNow(), job });
      return true;
    }
    return false;
  }

  /** @internal */
  ended(id: number): void {
    if (this.requests.delete(id) || this.processes.delete(id)) this.onEnd();
  }
}

const watched = new Map<EventLoop, ForeignActivity>();
const owners = new Map<number, ForeignActivity>();

let isOwn = false;

/** Runs `fn`, whose timers are the clock's own: in the context of a task they would hold the clock that they are to move. */
export function unnoticed<R>(fn: () => R): R {
  isOwn = true;
  try {
    return fn();
  } finally {
    isOwn = false;
  }
}

const hook = createHook({
  init(id, type, _trigger, resource) {
    if (isOwn || type === 'PROMISE' || type === 'TickObject') return;
    const task = currentTask();
    const activity = task === null ? undefined : watched.get(task.loop);
    if (activity?.began(id, type, resource)) owners.set(id, activity);
  },
  after(id) {
    const activity = owners.get(id);
    if (activity === undefined) return;
    owners.delete(id);
    activity.ended(id);
  },
  // Since Node 24.11: without it each promise calls back.
  ...({ trackPromises: false } as object),
});

/** Watches what tasks of the loop do, until the function returned is called. */
export function watchForeignActivity(loop: EventLoop, activity: ForeignActivity): () => void {
  if (watched.size === 0) hook.enable();
  watched.set(loop, activity);
  return () => {
    watched.delete(loop);
    if (watched.size === 0) {
      hook.disable();
      owners.clear();
    }
  };
}
