/** The scheduler that is always there, and its methods as functions: `import { every, runForever } from '@aiokit/schedule'`. */
import { Scheduler } from './scheduler.ts';

const KEY = Symbol.for('aiokit.schedule.default');
const registry = globalThis as { [KEY]?: Scheduler };

/** One per process, however many copies of this package there are. */
registry[KEY] ??= new Scheduler();
export const defaultScheduler: Scheduler = registry[KEY];

type Method<K extends keyof Scheduler> = Scheduler[K];

/** {@link Scheduler.every} of the default scheduler. */
export const every: Method<'every'> = (...args) => defaultScheduler.every(...args);
/** {@link Scheduler.cron} of the default scheduler. */
export const cron: Method<'cron'> = (...args) => defaultScheduler.cron(...args);
/** {@link Scheduler.once} of the default scheduler. */
export const once: Method<'once'> = (...args) => defaultScheduler.once(...args);
/** {@link Scheduler.interval} of the default scheduler. */
export const interval: Method<'interval'> = (...args) => defaultScheduler.interval(...args);
/** {@link Scheduler.repeat} of the default scheduler. */
export const repeat: Method<'repeat'> = (...args) => defaultScheduler.repeat(...args);
/** {@link Scheduler.getJobs} of the default scheduler. */
export const getJobs: Method<'getJobs'> = (...args) => defaultScheduler.getJobs(...args);
/** {@link Scheduler.clear} of the default scheduler. */
export const clear: Method<'clear'> = (...args) => defaultScheduler.clear(...args);
/** {@link Scheduler.cancelJob} of the default scheduler. */
export const cancelJob: Method<'cancelJob'> = (...args) => defaultScheduler.cancelJob(...args);
/** {@link Scheduler.nextRun} of the default scheduler. */
export const nextRun: Method<'nextRun'> = (...args) => defaultScheduler.nextRun(...args);
/** {@link Scheduler.idle} of the default scheduler. */
export const idle: Method<'idle'> = (...args) => defaultScheduler.idle(...args);
/** {@link Scheduler.runPending} of the default scheduler. */
export const runPending: Method<'runPending'> = (...args) => defaultScheduler.runPending(...args);
/** {@link Scheduler.runAll} of the default scheduler. */
export const runAll: Method<'runAll'> = (...args) => defaultScheduler.runAll(...args);
/** {@link Scheduler.runForever} of the default scheduler. */
export const runForever: Method<'runForever'> = (...args) => defaultScheduler.runForever(...args);
/** {@link Scheduler.start} of the default scheduler. */
export const start = (): Scheduler => defaultScheduler.start();
/** {@link Scheduler.stop} of the default scheduler. */
export const stop: Method<'stop'> = (...args) => defaultScheduler.stop(...args);
/** {@link Scheduler.describe} of the default scheduler. */
export const describe: Method<'describe'> = (...args) => defaultScheduler.describe(...args);
