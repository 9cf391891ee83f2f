import { getEventListeners } from 'node:events';
import {
  CancelledError,
  createTask,
  currentTask,
  Future,
  getRunningLoop,
  type Task,
  taskGroup,
  timeout,
} from '@aiokit/core';
import { fetch } from '@aiokit/http';
import { expect, test } from 'vitest';
import { httpServer } from './support/http-server.ts';

const hang = () => {};

/** Cancels a task of `body` as soon as the server has the request, and waits until it has ended. */
async function cancelledAt(nextRequest: Promise<unknown>, body: () => unknown): Promise<void> {
  const task = createTask(body) as Task<unknown>;
  await nextRequest;
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(task.cancelled()).toBe(true);
}

test("gives the platform's own response", async () => {
  await using server = await httpServer((_, response) => response.end('hello'));
  const response = await fetch(server.url);
  expect(response).toBeInstanceOf(Response);
  expect(Object.prototype.toString.call(response)).toBe('[object Response]');
  expect(response.constructor).toBe(Response);
  expect(await response.text()).toBe('hello');
  expect(response.bodyUsed).toBe(true);
  await expect(response.text()).rejects.toBeInstanceOf(TypeError);
});

test('a cancel while waiting for the answer makes the server see its client leave', async () => {
  await using server = await httpServer(hang);
  await cancelledAt(server.nextRequest(), () => fetch(server.url));
  expect(await server.seen[0]!.closed).toBe(false);
});

test.each([
  ['text()', (response: Response) => response.text()],
  ['json()', (response: Response) => response.json()],
  ['bytes()', (response: Response) => response.arrayBuffer()],
  [
    'a reader',
    async (response: Response) => {
      const reader = response.body!.getReader();
      while (!(await reader.read()).done);
    },
  ],
  [
    'for await',
    async (response: Response) => {
      for await (const _ of response.body!);
    },
  ],
  [
    'pipeThrough',
    async (response: Response) => {
      for await (const _ of response.body!.pipeThrough(new TextDecoderStream()));
    },
  ],
  ['pipeTo', (response: Response) => response.body!.pipeTo(new WritableStream())],
  [
    'tee',
    async (response: Response) => {
      for await (const _ of response.body!.tee()[0]!);
    },
  ],
  ['clone()', (response: Response) => response.clone().text()],
  [
    'text(), beside a second reader who is refused',
    async (response: Response) => {
      const text = response.text();
      await expect(response.text()).rejects.toBeInstanceOf(TypeError);
      await text;
    },
  ],
] as const)('a cancel while the body is read with %s ends the request', async (_, read) => {
  await using server = await httpServer((_, response) => void response.write('{"half":'));
  const reading = new Future<void>();
  const task = createTask(async () => {
    const response = await fetch(server.url);
    const result = read(response);
    reading.setResult();
    await result;
  });
  await reading;
  await new Promise(setImmediate);
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
});

test('a timeout ends the request and is a TimeoutError', async () => {
  await using server = await httpServer(hang);
  const arrived = server.nextRequest();
  const late = timeout(null, async (t) => {
    const answer = fetch(server.url);
    await arrived;
    t.reschedule(getRunningLoop().time());
    return await answer;
  });
  await expect(late).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(await server.seen[0]!.closed).toBe(false);
});

test('a failure in a group ends the requests of the others', async () => {
  await using server = await httpServer(hang);
  const group = taskGroup((group) => {
    group.createTask(() => fetch(server.url));
    group.createTask(async () => {
      await server.nextRequest();
      throw new Error('no');
    });
  });
  await expect(group).rejects.toMatchObject({ errors: [{ message: 'no' }] });
  expect(await server.seen[0]!.closed).toBe(false);
});

test('a task that is cancelled and cleans up can fetch in its cleanup', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url !== '/hang') response.end('cleaned');
  });
  let cleaned = '';
  await cancelledAt(server.nextRequest(), async () => {
    try {
      await fetch(`${server.url}/hang`);
    } finally {
      cleaned = await (await fetch(`${server.url}/cleanup`)).text();
    }
  });
  expect(cleaned).toBe('cleaned');
});

test("the user's own signal rejects with its own reason and keeps no listener", async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/') response.end('done');
  });
  const controller = new AbortController();
  expect(await (await fetch(server.url, { signal: controller.signal })).text()).toBe('done');
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  const arrived = server.nextRequest();
  const hanging = fetch(`${server.url}/hang`, { signal: controller.signal });
  await arrived;
  controller.abort(new RangeError('mine'));
  await expect(hanging).rejects.toThrow(new RangeError('mine'));
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  const aborted = new Request(server.url, { signal: AbortSignal.abort(new RangeError('early')) });
  await expect(fetch(aborted)).rejects.toThrow(new RangeError('early'));
});

test('errors are those of the platform', async () => {
  await expect(fetch('nonsense')).rejects.toThrow(TypeError);
  await expect(fetch('http://127.0.0.1:1')).rejects.toMatchObject({ cause: { message: 'bad port' } });
});

test('works outside of a task', async () => {
  await using server = await httpServer((_, response) => response.end('hello'));
  expect(currentTask()).toBeNull();
  const [a, b] = await Promise.all([fetch(server.url), fetch(new URL(server.url))]);
  expect([await a.text(), await b.text()]).toEqual(['hello', 'hello']);
});

test('a cancel before the request is sent, or while it connects, sends nothing', async () => {
  await using server = await httpServer(hang);
  const early = createTask(() => fetch(server.url)) as Task<unknown>;
  await Promise.resolve();
  await Promise.resolve();
  await Promise.resolve();
  early.cancel();
  await expect(early).rejects.toBeInstanceOf(CancelledError);
  const connected = new Future<void>();
  server.server.on('connection', () => connected.done() || connected.setResult());
  // The task is cancelled in the turn in which it has asked: there is no connection yet.
  const connecting = createTask(() => fetch(`${server.url}/connecting`)) as Task<unknown>;
  await new Promise(setImmediate);
  connecting.cancel();
  await expect(connecting).rejects.toBeInstanceOf(CancelledError);
  // The next one finds everything in order, and the server has seen none of the others, or has seen them leave.
  const arrived = server.nextRequest();
  await cancelledAt(arrived, () => fetch(`${server.url}/next`));
  for (const { closed } of server.seen) expect(await closed).toBe(false);
});

test('a mock in the place of the global fetch is called with a signal, which a cancel aborts', async () => {
  const platform = globalThis.fetch;
  let signal: AbortSignal | null | undefined;
  const called = new Future<void>();
  globalThis.fetch = (_input, init) => {
    signal = init?.signal;
    called.setResult();
    return new Promise(() => {});
  };
  try {
    await cancelledAt(called, () => fetch('http://mock.test/'));
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBeInstanceOf(CancelledError);
  } finally {
    globalThis.fetch = platform;
  }
});

test('a global dispatcher that somebody has set is obeyed', async () => {
  const name = Symbol.for(
    Number.parseInt(process.versions.undici ?? '0', 10) >= 8
      ? 'undici.globalDispatcher.2'
      : 'undici.globalDispatcher.1',
  );
  const holder = globalThis as unknown as Record<symbol, { dispatch(options: object, handler: object): boolean }>;
  await (await fetch('data:,')).text();
  const before = holder[name]!;
  const asked: string[] = [];
  const dispatch = (options: { path: string }, handler: object) => {
    asked.push(options.path);
    return before.dispatch(options, handler);
  };
  await using server = await httpServer((_, response) => response.end('hello'));
  holder[name] = { dispatch } as never;
  try {
    expect(await (await fetch(`${server.url}/mocked`)).text()).toBe('hello');
  } finally {
    holder[name] = before;
  }
  expect(asked).toEqual(['/mocked']);
});
