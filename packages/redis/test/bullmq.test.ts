import { createTask, isCancelled, sleep } from '@aiokit/core';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';
import { describe, expect, test } from 'vitest';
import type { Redis } from '../src/index.ts';
import { until, useServer } from './support/clients.ts';

const use = useServer();

function connection(): Redis {
  return use.client({ maxRetriesPerRequest: null });
}

describe.each([
  ['outside of a task', (body: () => Promise<void>) => body()],
  ['in a task', (body: () => Promise<void>) => createTask(body)],
] as const)('BullMQ started %s', (where, start) => {
  test.each([
    ['our client', () => connection()],
    ['detached()', () => connection().detached()],
  ] as const)('with %s: queue, worker, events and flows', async (_, connect) => {
    await start(async () => {
      const name = `mail-${where.length}`;
      const done: unknown[] = [];
      const queue = new Queue(name, { connection: connect() });
      const events = new QueueEvents(name, { connection: connect() });
      const worker = new Worker(name, async (job) => job.data.n * 2, { connection: connect(), concurrency: 5 });
      const flows = new FlowProducer({ connection: connect() });
      await events.waitUntilReady();
      events.on('completed', ({ returnvalue }) => done.push(Number(returnvalue)));
      await queue.addBulk(Array.from({ length: 50 }, (_, n) => ({ name: 'x', data: { n } })));
      await until(() => done.length === 50, 'all jobs');
      expect(done.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n * 2));
      const flow = await flows.add({
        name: 'parent',
        queueName: name,
        data: { n: 100 },
        children: [{ name: 'child', queueName: name, data: { n: 101 } }],
      });
      expect(await flow.job.waitUntilFinished(events, 10_000)).toBe(200);
      await worker.close();
      await events.close();
      await queue.close();
      await flows.close();
    });
  });
});

test('a worker that was started in a task goes on when the task is cancelled', async () => {
  let worker: Worker | undefined;
  const done: number[] = [];
  const client = connection();
  const task = createTask(async () => {
    worker = new Worker('q', async (job) => void done.push(job.data.n), { connection: client });
    await worker.waitUntilReady();
    await sleep(60_000);
  });
  const queue = new Queue('q', { connection: connection() });
  await queue.add('x', { n: 1 });
  await until(() => done.length === 1, 'the first job');
  task.cancel();
  await expect(task).rejects.toSatisfy(isCancelled);
  await queue.add('x', { n: 2 });
  await until(() => done.length === 2, 'the second job');
  await worker?.close();
  await queue.close();
});
