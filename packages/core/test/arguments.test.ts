/** A bad argument throws at the call, and the message names the parameter, the rule and the value received. */
import {
  abortable,
  asCompleted,
  Barrier,
  BoundedSemaphore,
  Condition,
  createTask,
  detached,
  EventLoop,
  ExceptionGroup,
  Future,
  gather,
  getRunningLoop,
  PriorityQueue,
  protect,
  Queue,
  Runner,
  race,
  run,
  Semaphore,
  shared,
  shield,
  sleep,
  taskGroup,
  timeout,
  timeoutAt,
  until,
  wait,
  waitFor,
  withSignal,
} from '@aiokit/core';
import { expect, it } from 'vitest';

const bad = (value: unknown) => value as never;
const noop = () => {};
const promise = Promise.resolve(1);
const hint = '. A promise is already running, outside the task: pass () => work() instead of work()';

const cases: [string, () => unknown, typeof TypeError | typeof RangeError, string][] = [
  [
    'createTask of a promise',
    () => createTask(bad(promise)),
    TypeError,
    `fn must be a function, got Promise { 1 }${hint}`,
  ],
  ['createTask of nothing', () => createTask(bad(undefined)), TypeError, 'fn must be a function, got undefined'],
  [
    'createTask with options that are none',
    () => createTask(noop, bad('name')),
    TypeError,
    "options must be an object, got 'name'",
  ],
  [
    'createTask with a signal that is none',
    () => createTask(noop, { signal: bad({}) }),
    TypeError,
    'options.signal must be an AbortSignal, got {}',
  ],
  [
    'createTask with a name that is none',
    () => createTask(noop, { name: bad(5) }),
    TypeError,
    'options.name must be a string, got 5',
  ],
  ['run of a promise', () => run(bad(promise)), TypeError, `main must be a function, got Promise { 1 }${hint}`],
  [
    'run with a closeTimeout that is none',
    () => run(noop, { closeTimeout: bad('1s') }),
    TypeError,
    "options.closeTimeout must be a number of milliseconds, got '1s'",
  ],
  [
    'a Runner with a signal that is none',
    () => new Runner({ signal: bad(1) }),
    TypeError,
    'options.signal must be an AbortSignal, got 1',
  ],
  [
    'taskGroup of a promise',
    () => taskGroup(bad(promise)),
    TypeError,
    `body must be a function, got Promise { 1 }${hint}`,
  ],
  ['a limit of 0', () => taskGroup(noop, { limit: 0 }), RangeError, 'options.limit must be >= 1, got 0'],
  [
    'a limit that is no integer',
    () => gather([], { limit: 1.5 }),
    RangeError,
    'options.limit must be an integer, got 1.5',
  ],
  [
    'a limit that is no number',
    () => asCompleted([], { limit: bad('5') }),
    TypeError,
    "options.limit must be an integer >= 1, got '5'",
  ],
  ['sleep of a text', () => sleep(bad('1s')), TypeError, "ms must be a number of milliseconds, got '1s'"],
  ['sleep of NaN', () => sleep(Number.NaN), RangeError, 'ms must be a number of milliseconds, got NaN'],
  [
    'timeout of a text',
    () => timeout(bad('1s'), noop),
    TypeError,
    "ms (or null for no limit) must be a number of milliseconds, got '1s'",
  ],
  [
    'timeout of undefined',
    () => timeout(bad(undefined), noop),
    TypeError,
    'ms (or null for no limit) must be a number of milliseconds, got undefined',
  ],
  [
    'timeout of a promise',
    () => timeout(1, bad(promise)),
    TypeError,
    `body must be a function, got Promise { 1 }${hint}`,
  ],
  [
    'timeoutAt of NaN',
    () => timeoutAt(Number.NaN, noop),
    RangeError,
    'when (or null for no limit) must be a number of milliseconds, got NaN',
  ],
  [
    'waitFor of a number',
    () => waitFor(bad(5), 1),
    TypeError,
    'item must be a function, a Task, a Future or a promise, got 5',
  ],
  [
    'waitFor with a text',
    () => waitFor(noop, bad('1')),
    TypeError,
    "ms (or null for no limit) must be a number of milliseconds, got '1'",
  ],
  [
    'shield of nothing',
    () => shield(bad(null)),
    TypeError,
    'item must be a function, a Task, a Future or a promise, got null',
  ],
  [
    'a loop with half a clock',
    () => new EventLoop(bad({ clock: {} })),
    TypeError,
    'options.clock must be a Clock, with now(), wallTime() and setTimer(), got {}',
  ],
  [
    'a Runner with a number for a name',
    () => new Runner(bad({ name: 1 })),
    TypeError,
    'options.name must be a string, got 1',
  ],
  ['until of a function', () => until(bad(noop)), TypeError, 'promise must be a promise, got function noop'],
  [
    'abortable of a promise',
    () => abortable(bad(promise)),
    TypeError,
    `fn must be a function, got Promise { 1 }${hint}`,
  ],
  [
    'gather of one function',
    () => gather(bad(noop)),
    TypeError,
    'items must be an array or another iterable, got function noop',
  ],
  [
    'gather of values',
    () => gather([bad(1)]),
    TypeError,
    'items[0] must be a function, a Task, a Future or a promise, got 1',
  ],
  [
    'asCompleted of nothing',
    () => asCompleted(bad(undefined)),
    TypeError,
    'items must be an array or another iterable, got undefined',
  ],
  [
    'asCompleted with a timeout that is none',
    () => asCompleted([], { timeout: bad('1') }),
    TypeError,
    "options.timeout must be a number of milliseconds, got '1'",
  ],
  [
    'taskGroup with a name that is none',
    () => taskGroup(noop, { name: bad(5) }),
    TypeError,
    'options.name must be a string, got 5',
  ],
  [
    'Future of a function',
    () => new Future(bad(noop)),
    TypeError,
    'loop must be an EventLoop, got function noop. A Future takes no function, unlike new Promise(…)',
  ],
  [
    'runInExecutor without an executor',
    () => getRunningLoop().runInExecutor(bad(undefined), noop),
    TypeError,
    'executor must be an executor, or null for the pool of toThread, got undefined',
  ],
  ['race of nothing', () => race([]), RangeError, 'items must hold at least one, got none: the race would never end'],
  [
    'race of a function',
    () => race(bad(noop)),
    TypeError,
    'items must be an array or another iterable, got function noop',
  ],
  ['wait of nothing', () => wait([]), RangeError, 'items must hold at least one Task or Future, got none'],
  [
    'wait of a function',
    () => wait([bad(noop)]),
    TypeError,
    'items[0] must be a Task or a Future (createTask makes one), got function noop',
  ],
  ['wait of no iterable', () => wait(bad(5)), TypeError, 'items must be an array or another iterable, got 5'],
  [
    'wait with an unknown returnWhen',
    () => wait([new Future()], { returnWhen: bad('FIRST') }),
    TypeError,
    "options.returnWhen must be one of 'ALL_COMPLETED', 'FIRST_COMPLETED', 'FIRST_EXCEPTION', got 'FIRST'",
  ],
  ['shared of a promise', () => shared(bad(promise)), TypeError, `fn must be a function, got Promise { 1 }${hint}`],
  ['protect of a promise', () => protect(bad(promise)), TypeError, `body must be a function, got Promise { 1 }${hint}`],
  [
    'protect with a grace that is none',
    () => protect(noop, { grace: bad('1') }),
    TypeError,
    "options.grace must be a number of milliseconds, got '1'",
  ],
  ['detached of a promise', () => detached(bad(promise)), TypeError, `fn must be a function, got Promise { 1 }${hint}`],
  [
    'withSignal without a signal',
    () => withSignal(bad(undefined), noop),
    TypeError,
    'signal must be an AbortSignal, got undefined',
  ],
  ['a queue of -1', () => new Queue(-1), RangeError, 'maxSize must be >= 0, got -1'],
  ['a queue of a text', () => new Queue(bad('10')), TypeError, "maxSize must be an integer >= 0, got '10'"],
  [
    'a priority queue with a key instead of a comparison',
    () => new PriorityQueue(0, bad('at')),
    TypeError,
    "compare must be a function, got 'at'",
  ],
  ['a semaphore of -1', () => new Semaphore(-1), RangeError, 'value must be >= 0, got -1'],
  [
    'a bounded semaphore of NaN',
    () => new BoundedSemaphore(Number.NaN),
    RangeError,
    'value must be an integer, got NaN',
  ],
  ['a barrier of 0', () => new Barrier(0), RangeError, 'parties must be >= 1, got 0'],
  [
    'a condition on something else',
    () => new Condition(bad(new Semaphore())),
    TypeError,
    'lock must be a Lock, got Semaphore',
  ],
  [
    'callLater of a text',
    () => getRunningLoop().callLater(bad('1'), noop),
    TypeError,
    "ms must be a number of milliseconds, got '1'",
  ],
  [
    'callAt of NaN',
    () => getRunningLoop().callAt(Number.NaN, noop),
    RangeError,
    'when must be a number of milliseconds, got NaN',
  ],
  [
    'callSoon of nothing',
    () => getRunningLoop().callSoon(bad(undefined)),
    TypeError,
    'callback must be a function, got undefined',
  ],
  [
    'addDoneCallback of nothing',
    () => new Future().addDoneCallback(bad(undefined)),
    TypeError,
    'callback must be a function, got undefined',
  ],
  [
    'an exception handler that is none',
    () => getRunningLoop().setExceptionHandler(bad('x')),
    TypeError,
    "handler must be a function, got 'x'",
  ],
  [
    'an ExceptionGroup of nothing',
    () => new ExceptionGroup([]),
    RangeError,
    'errors must hold at least one error, got none',
  ],
  [
    'an ExceptionGroup split by a text',
    () => new ExceptionGroup([new Error()]).split(bad('x')),
    TypeError,
    "match must be a function, got 'x'",
  ],
];

for (const [name, call, type, message] of cases) {
  it(`${name} is a ${type.name}`, async () => {
    const error = await (async () => call())().then(
      () => expect.unreachable('nothing was thrown'),
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(type);
    expect(
      (error as Error).message.startsWith(message),
      `${(error as Error).message}\n  should begin with\n${message}`,
    ).toBe(true);
  });
}

it('is thrown at the call, not from the promise', () => {
  const late = cases.filter(([, call]) => {
    try {
      Promise.resolve(call()).catch(noop);
      return true;
    } catch {
      return false;
    }
  });
  expect(late.map(([name]) => name)).toEqual([]);
});
