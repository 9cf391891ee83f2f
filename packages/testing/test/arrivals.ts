/** Elements and messages that are on their way on one connection when the operation on another has ended. */
import { createTask, timeout } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { Redis } from '@aiokit/redis';
import { waitAllTasksBlocked } from '@aiokit/testing';
import { expect } from 'vitest';

const HOUR = 3_600_000;

/** @param receiver, sender URLs of one server: on the first, answers are late. */
type Arrival = (receiver: string, sender: string) => Promise<void>;

export const poppedElement: Arrival = async (receiver, sender) => {
  const [consumer, producer] = [new Redis(receiver), new Redis(sender)];
  try {
    const key = `jobs:${Math.random()}`;
    const popped = createTask(() => timeout(HOUR, () => consumer.blpop(key, 0)));
    await waitAllTasksBlocked();
    await producer.rpush(key, 'job');
    expect(await popped).toEqual([key, 'job']);
  } finally {
    consumer.disconnect();
    producer.disconnect();
  }
};

export const publishedMessage: Arrival = async (receiver, sender) => {
  const [subscriber, publisher] = [new Redis(receiver), new Redis(sender)];
  try {
    const channel = `news:${Math.random()}`;
    const received = createTask(() =>
      timeout(HOUR, async () => {
        for await (const message of subscriber.listen(channel)) if (message.gap === undefined) return message.message;
        return null;
      }),
    );
    await waitAllTasksBlocked();
    await publisher.publish(channel, 'hello');
    expect(await received).toBe('hello');
  } finally {
    subscriber.disconnect();
    publisher.disconnect();
  }
};

export const streamEntry: Arrival = async (receiver, sender) => {
  const [reader, writer] = [new Redis(receiver), new Redis(sender)];
  try {
    const key = `events:${Math.random()}`;
    const read = createTask(() => timeout(HOUR, () => reader.xread('BLOCK', 0, 'STREAMS', key, '0')));
    await waitAllTasksBlocked();
    await writer.xadd(key, '*', 'n', '1');
    expect(await read).toHaveLength(1);
  } finally {
    reader.disconnect();
    writer.disconnect();
  }
};

export const notification: Arrival = async (receiver, sender) => {
  const [listening, notifying] = [new Pool({ connectionString: receiver }), new Pool({ connectionString: sender })];
  try {
    const received = createTask(() =>
      timeout(HOUR, async () => {
        for await (const { channel, payload } of listening.listen('jobs')) if (channel === 'jobs') return payload;
        return null;
      }),
    );
    await waitAllTasksBlocked();
    await notifying.query(`notify jobs, 'job'`);
    expect(await received).toBe('job');
  } finally {
    await listening.end();
    await notifying.end();
  }
};
