// Run by sample.test.ts with node --test, in a project of its own.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createTask, Queue, sleep, TimeoutError, timeout } from '@aiokit/core';
import { test } from '@aiokit/testing/node';
import { redis } from '@aiokit/testing/services';

test('a virtual hour passes at once', async ({ clock }) => {
  await assert.rejects(
    timeout(3_600_000, () => sleep(Infinity)),
    TimeoutError,
  );
  assert.equal(clock.now(), 3_600_000);
});

test('a server of its own answers before the hour is over', async ({ clock }) => {
  const server = await redis();
  try {
    const client = connect(server.port, server.host);
    client.write('PING\r\n');
    const [answer] = await timeout(3_600_000, () => once(client, 'data'));
    assert.equal(String(answer), '+PONG\r\n');
    assert.equal(clock.now(), 0);
    client.destroy();
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

test('waits for ever', () => new Queue().get());

test('leaves a task behind', () => void createTask(() => sleep(1_000), { name: 'forgotten' }));
