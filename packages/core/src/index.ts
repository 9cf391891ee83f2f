/**
 * asyncio-style concurrency for Node.js.
 *
 *   running      run.ts, loop.ts, clock.ts         a loop, its time, its lifetime
 *   tasks        task.ts, future.ts, scope.ts      the engine: what runs, what it waits for, how far a cancel reaches
 *   joining      gather.ts, task-group.ts, …       several tasks at once
 *   limits       timeout.ts, signal.ts, protect.ts when to stop, and when not to
 *   foreign      abortable.ts, until.ts, bridge.ts everything that is not a Future of ours
 *   between      queue.ts, lock.ts, …              what tasks share; all of them stand on line.ts
 *   looking in   task-tree.ts, activity.ts         who waits for what
 */

export { abortable } from './abortable.ts';
export { type LoopActivity, type Operation, type OperationOptions, trackIO } from './activity.ts';
export { type AsCompletedOptions, asCompleted, type Completed, type Settled } from './as-completed.ts';
export { Barrier, type BarrierStatistics } from './barrier.ts';
export { Bridge } from './bridge.ts';
export { isCancelled, rethrowCancelled } from './cancelled.ts';
export { type Clock, type ClockTimer, RealClock } from './clock.ts';
export { Condition, type ConditionStatistics } from './condition.ts';
export { declareDeadlock } from './deadlock.ts';
export { detached } from './detached.ts';
export {
  BrokenBarrierError,
  CancelledError,
  DeadlockError,
  InvalidStateError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  TimeoutError,
} from './errors.ts';
export { Event, type EventStatistics } from './event.ts';
export { type ErrorMatch, ExceptionGroup } from './exception-group.ts';
export { Future } from './future.ts';
export { type Gathered, type GatherOptions, gather } from './gather.ts';
export { Guard } from './guard.ts';
export type { Joinable, Joined } from './joinable.ts';
export { Lock, type LockStatistics } from './lock.ts';
export {
  EventLoop,
  type EventLoopOptions,
  type ExceptionContext,
  type ExceptionHandler,
  getRunningLoop,
  Handle,
  TimerHandle,
} from './loop.ts';
export { type ProtectOptions, protect } from './protect.ts';
export { LifoQueue, PriorityQueue, Queue, type QueueStatistics } from './queue.ts';
export { race } from './race.ts';
export { Runner, type RunOptions, run } from './run.ts';
export { currentScope, peekPending, type Scope } from './scope.ts';
export { BoundedSemaphore, Semaphore, type SemaphoreStatistics } from './semaphore.ts';
export { shared } from './shared.ts';
export { shield } from './shield.ts';
export { currentSignal, throwIfCancelled, withSignal } from './signal.ts';
export { sleep } from './sleep.ts';
export { allTasks, createTask, currentTask, Task, type TaskOptions } from './task.ts';
export { TaskGroup, type TaskGroupOptions, taskGroup } from './task-group.ts';
export { formatTaskTree, type TaskInfo, taskTree, type WaitInfo } from './task-tree.ts';
export { currentDeadline, Timeout, timeout, timeoutAt, waitFor } from './timeout.ts';
export { until } from './until.ts';
export { type ReturnWhen, type WaitOptions, wait } from './wait.ts';
