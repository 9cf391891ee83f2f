// Row 12: coroutines out of generators. JavaScript has them natively: `yield*` delegates, `next(value)` sends.
import { isProgram, type Print } from '../program.ts';

/** `yield*` passes the values of another generator through, and gives what it returns. */
export function delegating(print: Print): void {
  function* fun(n: number): Generator<string, number> {
    yield 'One';
    yield 'Two';
    return n;
  }
  function* run(): Generator<string, [number, number]> {
    const first = yield* fun(1);
    const second = yield* fun(2);
    print(`${first} ${second}`);
    return [first, second];
  }
  const steps = run();
  let step = steps.next();
  for (; !step.done; step = steps.next()) print(step.value);
  print(`(${step.value.join(', ')})`); // In Python it comes as StopIteration: (1, 2).
}

/** A generator takes what `next()` is given as the value of its `yield`. */
export function sending(print: Print): void {
  function* task(first: unknown): Generator<string, never, unknown> {
    print(`start ${first}`);
    for (let value = first; ; ) value = yield `/${value}/`;
  }
  const steps = task(100500);
  print(steps.next().value);
  print(steps.next(42).value);
  print(steps.next().value);
}

function* mult(name = ''): Generator<string, number, number> {
  const prefix = name === '' ? '' : `${name}: `;
  const x = yield `${prefix}Give me X`;
  const y = yield `${prefix}Give me Y${name === '' ? '' : `, (x=${x})`}`;
  return x * y;
}

/** Every third value gets lost: it is sent to the `yield` that gave the product. */
export function losing(print: Print): void {
  function* task(): Generator<string | number, never, number> {
    for (;;) {
      const lost = yield yield* mult();
      print(`Got ${lost}`);
    }
  }
  const core = task();
  print(String(core.next().value));
  for (let i = 1; i < 10; i++) print(String(core.next(i).value));
}

/** A main loop that drives two tasks, out of order. */
export function twoTasks(print: Print): void {
  function* task(name: string): Generator<string, never, number> {
    for (;;) yield `[${name}]: ${yield* mult(name)}`;
  }
  const tasks = [task('One'), task('Two')] as const;
  for (const each of tasks) print(each.next().value);
  for (let i = 0; i < 20; i++) print(tasks[i % 3 === 0 ? 1 : 0].next(i).value);
}

/** A main loop of three tasks that take turns until each is done: a small event loop. */
export function takingTurns(print: Print, random = () => 3 + Math.floor(Math.random() * 8)): void {
  function* product(): Generator<undefined, number, number> {
    return (yield) * (yield);
  }
  function* sumOf(count: number): Generator<undefined, number, number> {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += yield* product();
    return sum;
  }
  const queue = [10, 3, 5].map((count) => ({ name: `sum of ${count}`, steps: sumOf(count) }));
  print(`Start: ${queue.map(({ name }) => name).join(', ')}`);
  for (const { steps } of queue) steps.next();
  for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
    const step = task.steps.next(random());
    if (step.done) print(`Done: ${task.name} = ${step.value}`);
    else queue.push(task);
  }
}

export function main(print: Print): void {
  for (const part of [delegating, sending, losing, twoTasks, takingTurns]) part(print);
}

if (isProgram(import.meta)) main(console.log);
