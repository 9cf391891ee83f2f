/** What can be said about a job beyond when it happens, and which of it does not go together. */
import { checkCount, checkFunction, checkMs, checkOneOf, checkOptions, checkString, shown } from './check.ts';
import { ScheduleValueError } from './errors.ts';
import type { JobContext } from './job-context.ts';
import type { FoldChoice, GapChoice } from './time/wall-recurrence.ts';

/** What happens when an occurrence is due while a run of the job still goes on. */
export type Overlap =
  /** It does not run; the next run is told by `missedCount`. */
  | 'skip'
  /** It runs when those before it have ended, in order; on a fleet in the order in which the instances come with them. */
  | 'queue'
  /** It runs beside the other. */
  | 'concurrent'
  /** The other is cancelled; when it has ended, this one runs. */
  | 'cancel';

/** What happens to occurrences whose time went by while nothing could run: the machine slept, the loop was blocked. */
export type Misfire =
  /** They do not run. */
  | 'skip'
  /** The last of them runs, for all of them. */
  | 'once'
  /** Each of them runs, in order. */
  | 'all';

export interface RetryOptions {
  /** How many times more after the first attempt. */
  limit: number;
  /** ms before the second attempt. Default: 1,000. */
  delay?: number | undefined;
  /** What the delay is multiplied with each time. Default: 2. */
  factor?: number | undefined;
  /** The longest delay, in ms. Default: 60,000. */
  maxDelay?: number | undefined;
}

export interface JobOptions {
  /** Default: the function's name. On a fleet it is what a job is known by, and has to be unique. */
  name?: string | undefined;
  /** The zone in which `at`, days, weekdays and cron are meant. Default: the scheduler's, else the machine's. */
  timeZone?: string | undefined;
  /** Times that a change of the clocks leaves out. Default: `'shift'`; `'skip'` for what goes on through all hours. */
  gap?: GapChoice | undefined;
  /** Times that happen twice. Default: `'first'`; `'both'` for what goes on through all hours. */
  fold?: FoldChoice | undefined;
  /** Default: `'skip'`, with `misfire: 'all'` `'queue'`. */
  overlap?: Overlap | undefined;
  /** With `overlap: 'queue'`, how many occurrences may wait; beyond it they are skipped. Default: 1,000. */
  queueLimit?: number | undefined;
  /** Default: `'once'`. */
  misfire?: Misfire | undefined;
  /**
   * How many ms after its time an occurrence may still begin. Later than that it counts as missed and does not run. Default:
   * `Infinity`, with `misfire: 'skip'` 1,000; on a fleet an hour and a minute.
   */
  grace?: number | undefined;
  /**
   * `'fixedRate'`: the time between beginnings is even, whatever a run takes. `'fixedDelay'`: the time between the end of a
   * run and the next beginning. Default: `'fixedRate'`.
   */
  mode?: 'fixedRate' | 'fixedDelay' | undefined;
  /** Begins up to this many ms later, drawn for each occurrence. Default: 0. */
  jitter?: number | undefined;
  /** Makes `jitter` and `to()` draw the same each time. Default: random; on a fleet, the job's name. */
  seed?: string | number | undefined;
  /** The most ms an attempt may take; then it is cancelled and has failed with a TimeoutError. Default: no limit. */
  timeout?: number | undefined;
  /** A number is `{ limit }`. Default: 0. */
  retry?: number | RetryOptions | undefined;
  /** Is told what the last attempt threw. Default: the loop's exception handler. */
  onError?: ((error: unknown, context: JobContext) => unknown) | undefined;
}

const KNOWN = [
  'name',
  'timeZone',
  'gap',
  'fold',
  'overlap',
  'queueLimit',
  'misfire',
  'grace',
  'mode',
  'jitter',
  'seed',
  'timeout',
  'retry',
  'onError',
] as const satisfies readonly (keyof JobOptions)[];

/** Shared, as most jobs have none. */
const NONE: JobOptions = Object.freeze({});

/** @throws TypeError, RangeError or {@link ScheduleValueError}: a wrong value, or two that contradict each other. */
export function checkJobOptions(options: JobOptions | undefined, parameter = 'options'): JobOptions {
  if (options === undefined) return NONE;
  checkOptions(options, parameter, KNOWN);
  const given = options;
  const check = <K extends keyof JobOptions>(
    key: K,
    rule: (value: NonNullable<JobOptions[K]>, name: string) => void,
  ) => {
    const value = given[key];
    if (value !== undefined) rule(value as NonNullable<JobOptions[K]>, `${parameter}.${key}`);
  };
  check('name', checkString);
  check('gap', (value, name) => checkOneOf(value, name, ['shift', 'firstValid', 'skip']));
  check('fold', (value, name) => checkOneOf(value, name, ['first', 'last', 'both']));
  check('overlap', (value, name) => checkOneOf(value, name, ['skip', 'queue', 'concurrent', 'cancel']));
  check('misfire', (value, name) => checkOneOf(value, name, ['skip', 'once', 'all']));
  check('mode', (value, name) => checkOneOf(value, name, ['fixedRate', 'fixedDelay']));
  check('queueLimit', (value, name) => checkCount(value, name, 1));
  check('grace', (value, name) => checkMs(value, name));
  check('jitter', (value, name) => checkMs(value, name));
  check('timeout', (value, name) => checkMs(value, name, 1));
  check('seed', checkSeed);
  check('retry', checkRetry);
  check('onError', checkFunction);
  return given;
}

function checkSeed(value: unknown, name: string): void {
  if (typeof value === 'string' || typeof value === 'number') return;
  throw new TypeError(`${name} must be a string or a number, got ${shown(value)}`);
}

function checkRetry(value: number | RetryOptions, name: string): void {
  if (typeof value === 'number') return checkCount(value, name, 0);
  checkOptions(value, name, ['limit', 'delay', 'factor', 'maxDelay']);
  checkCount(value.limit, `${name}.limit`, 0);
  if (value.delay !== undefined) checkMs(value.delay, `${name}.delay`);
  if (value.maxDelay !== undefined) checkMs(value.maxDelay, `${name}.maxDelay`);
  if (value.factor !== undefined) checkFactor(value.factor, `${name}.factor`);
}

function checkFactor(value: unknown, name: string): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number >= 1, got ${shown(value)}`);
  if (!(value >= 1)) throw new RangeError(`${name} must be >= 1, got ${value}`);
}

/** What holds for a job, with nothing left open. */
export interface Policy {
  readonly overlap: Overlap;
  readonly queueLimit: number;
  readonly misfire: Misfire;
  readonly grace: number;
  readonly mode: 'fixedRate' | 'fixedDelay';
  readonly jitter: number;
  readonly seed: string | number | undefined;
  readonly timeout: number | null;
  readonly retry: Required<{ [K in keyof RetryOptions]: number }>;
  readonly onError: ((error: unknown, context: JobContext) => unknown) | null;
  readonly gap: GapChoice | undefined;
  readonly fold: FoldChoice | undefined;
}

/** @param own what was said about this job; the scheduler's defaults give way to it. */
export function policyOf(own: JobOptions, defaults: JobOptions, isFleet: boolean): Policy {
  if (own !== NONE) return makePolicy(own, defaults, isFleet);
  const known = policies.get(defaults) ?? makePolicy(own, defaults, isFleet);
  policies.set(defaults, known);
  return known;
}

/** Of jobs without options of their own, by the scheduler's. */
const policies = new WeakMap<JobOptions, Policy>();

function makePolicy(own: JobOptions, defaults: JobOptions, isFleet: boolean): Policy {
  refuseContradictions(own);
  const all = { ...defaults, ...withoutUndefined(own) };
  refuseContradictions(all);
  const misfire = all.misfire ?? 'once';
  const retry = typeof all.retry === 'object' ? all.retry : { limit: all.retry ?? 0 };
  return {
    misfire,
    overlap: all.overlap ?? (misfire === 'all' ? 'queue' : 'skip'),
    queueLimit: all.queueLimit ?? 1_000,
    grace: all.grace ?? graceOf(misfire, isFleet),
    mode: all.mode ?? 'fixedRate',
    jitter: all.jitter ?? 0,
    seed: all.seed,
    timeout: all.timeout === undefined || all.timeout === Infinity ? null : all.timeout,
    retry: {
      limit: retry.limit,
      delay: retry.delay ?? 1_000,
      factor: retry.factor ?? 2,
      maxDelay: retry.maxDelay ?? 60_000,
    },
    onError: all.onError ?? null,
    gap: all.gap,
    fold: all.fold,
  };
}

function graceOf(misfire: Misfire, isFleet: boolean): number {
  if (isFleet) return misfire === 'skip' ? 60_000 : 3_600_000;
  return misfire === 'skip' ? 1_000 : Infinity;
}

/** Pairs of which one would silently undo the other. */
function refuseContradictions(options: JobOptions): void {
  const { misfire, overlap, mode } = options;
  const refuse = (pair: string, why: string) => {
    throw new ScheduleValueError(`${pair} contradict each other: ${why}`);
  };
  if (misfire === 'all' && overlap === 'skip') {
    refuse(
      `misfire: 'all' and overlap: 'skip'`,
      `missed runs would be made up for and skipped at once. Take overlap: 'queue'`,
    );
  }
  if (misfire === 'all' && overlap === 'cancel') {
    refuse(
      `misfire: 'all' and overlap: 'cancel'`,
      `each missed run would cancel the one before it. Take overlap: 'queue'`,
    );
  }
  if (misfire === 'skip' && options.grace === Infinity) {
    refuse(
      `misfire: 'skip' and grace: Infinity`,
      `nothing would ever be late enough to be skipped. Take misfire: 'once'`,
    );
  }
  if (options.queueLimit !== undefined && overlap !== 'queue' && !(overlap === undefined && misfire === 'all')) {
    refuse(`queueLimit and overlap: '${overlap ?? 'skip'}'`, `only overlap: 'queue' has a queue`);
  }
  if (mode === 'fixedDelay' && overlap !== undefined && overlap !== 'skip') {
    refuse(`mode: 'fixedDelay' and overlap: '${overlap}'`, 'the next run is only planned when this one has ended');
  }
  if (mode === 'fixedDelay' && misfire === 'all') {
    refuse(
      `mode: 'fixedDelay' and misfire: 'all'`,
      'after a fixed delay there is never more than one run to make up for',
    );
  }
}

function withoutUndefined(options: JobOptions): JobOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
