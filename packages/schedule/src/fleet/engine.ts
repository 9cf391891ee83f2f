/**
 * What a fleet needs of an engine (BullMQ, pg-boss): to keep occurrences until their time, to hand each out once, and to
 * notice when whoever held one has died. When something happens is not its business.
 */
import { until } from '@aiokit/core';

/** One occurrence of a job, as it lies in the engine. */
export interface Occurrence {
  readonly job: string;
  /** Ms since 1970. */
  readonly at: number;
  /** The rule that it comes from: a deploy may have changed it since. */
  readonly rule: string;
}

export interface HandedOut extends Occurrence {
  readonly id: string;
  /** How often it was handed out before, to somebody who died. */
  readonly redeliveries: number;
  /** Aborts when the engine may have given it to somebody else. */
  readonly lost: AbortSignal;
}

/** What becomes of an occurrence: it is over, or somebody else is to have it, a little later. */
export type Verdict = 'finished' | 'giveBack';

/** What all instances know of a job. */
export interface SharedState {
  /** The rule that holds: that of the instance that began last. `null` before any did, `RETIRED` when the job is over. */
  readonly rule: string | null;
  /** Occurrences without a run since the last one that had one. */
  readonly missed: number;
  /** How often `cancel()` was called. */
  readonly cancels: number;
  readonly cancelReason: string;
  /** Its occurrences that run or wait for their turn, by their times, see `enter()`. */
  readonly line: readonly number[];
}

export interface Entered {
  readonly line: readonly number[];
  /** Of how many missed ones the run is told. */
  readonly missed: number;
}

/** In place of a rule: a run has returned `CancelJob`, and the rule that it ended. */
export const RETIRED = 'retired:';

/** Where the instances leave word for each other: what all of them know of a job, each step by itself, whoever else is at it. */
export interface Board {
  /** Makes this the job's rule, unless it was retired under this very rule. */
  declare(job: string, rule: string): Promise<void>;
  /**
   * Says that somebody goes by this rule, if it is in force. If another is, of which nobody has said so for `keptFor` ms, this
   * one takes its place: an instance of an old version that was started again and ended must not leave its rule behind.
   */
  uphold(job: string, rule: string, keptFor: number): Promise<SharedState>;
  /** Ends the job, if this rule is in force. */
  retire(job: string, rule: string): Promise<void>;
  state(job: string): Promise<SharedState>;
  addMissed(job: string, count: number): Promise<void>;
  /**
   * Puts an occurrence at the end of the job's line, unless it is in there, and gives it the missed ones: its run is to be
   * told of them. Who dies or is shut down keeps its place, and these, for the instance that has the run next.
   */
  enter(job: string, at: number): Promise<Entered>;
  leave(job: string, times: readonly number[]): Promise<void>;
  /** Returns how often it was asked for, with this time. */
  requestCancel(job: string, reason: string): Promise<number>;
  /** The engine's clock, in ms since 1970: the one that all instances share. */
  now(): Promise<number>;
}

/** One connection to an engine. */
export interface Engine {
  readonly board: Board;
  /**
   * Connects, and begins to hand out. Each occurrence goes to `take`, which never throws. A server that is away is waited for,
   * and `onError` told.
   *
   * @throws what waiting does not mend: a wrong password, a database that does not exist.
   */
  open(take: Take, onError: (error: unknown) => void): Promise<void>;
  /** Puts occurrences in; one that is or was there already is ignored. */
  enqueue(occurrences: readonly Occurrence[], keepFor: number): Promise<void>;
  /** Which of these were put in, and whether they are over. */
  known(job: string, times: readonly number[]): Promise<Map<number, 'open' | 'over'>>;
  /** Hands out nothing more. */
  pause(): void;
  /** Ends the connection, when what was handed out is over. */
  close(): Promise<void>;
}

export type Take = (occurrence: HandedOut) => Promise<Verdict>;

/** What an instance asks of an engine. */
export type Requests = Board & Pick<Engine, 'enqueue' | 'known'>;

/** A cancel does not wait for the engine's answer: one that is away would hold up the shutdown. */
export function cancellable(engine: Engine): Requests {
  const { board } = engine;
  return {
    enqueue: (...args) => until(engine.enqueue(...args)),
    known: (...args) => until(engine.known(...args)),
    declare: (...args) => until(board.declare(...args)),
    uphold: (...args) => until(board.uphold(...args)),
    retire: (...args) => until(board.retire(...args)),
    state: (...args) => until(board.state(...args)),
    addMissed: (...args) => until(board.addMissed(...args)),
    enter: (...args) => until(board.enter(...args)),
    leave: (...args) => until(board.leave(...args)),
    requestCancel: (...args) => until(board.requestCancel(...args)),
    now: () => until(board.now()),
  };
}

/** What `new Scheduler({ backend })` is given: `bullmq({ … })`, `pgBoss({ … })`. */
export interface Backend {
  /**
   * @throws ScheduleValueError if finished occurrences would not be kept for that long: an instance that is late would put
   * one in again, and it would run twice.
   */
  requireKept(forMs: number): void;
  connect(): Engine;
}

/** Clocks of instances may differ by this many ms. */
export const MOST_SKEW = 60_000;

/** The engine's id of an occurrence. The same on every instance; no colon and not digits only, which BullMQ refuses. */
export function idOf({ job, at }: Pick<Occurrence, 'job' | 'at'>): string {
  return `${encodeURIComponent(job)}-${at}`;
}
