/** Over the parts of node:cluster's first process that it looks at: when a worker dies between two messages cannot be chosen. */
import type { Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchHandOver } from '../src/server/hand-over.ts';

function watched() {
  const child = Object.assign(new EventEmitter(), { send: (..._message: unknown[]) => true });
  const worker = Object.assign(new EventEmitter(), { process: child });
  watchHandOver(worker as unknown as Worker);
  const connection = { isClosed: false, close: () => void (connection.isClosed = true) };
  const handOver = (seq: number) => child.send({ cmd: 'NODE_CLUSTER', act: 'newconn', seq }, connection);
  const answer = (ack: number) => child.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack });
  return { connection, handOver, answer, die: () => worker.emit('exit') };
}

test('a connection that a worker has not answered for is closed when that dies', () => {
  const { connection, handOver, answer, die } = watched();
  handOver(7);
  answer(6);
  die();
  expect(connection.isClosed).toBe(true);
});

test('one that it has taken, or given back to wait for another worker, is left alone', () => {
  const { connection, handOver, answer, die } = watched();
  handOver(7);
  answer(7);
  die();
  expect(connection.isClosed).toBe(false);
});
