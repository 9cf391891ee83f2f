import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { faultProxy } from '@aiokit/testing/services';
import { afterEach, expect, test } from 'vitest';
import { until, useServer } from './support/clients.ts';

const use = useServer();
const TTL = 1_500;
const holders: ChildProcess[] = [];
afterEach(() => {
  for (const holder of holders.splice(0)) holder.kill('SIGKILL');
});

/** What the lock protects: it refuses a token that is lower than one it has seen. */
class Resource {
  readonly accepted: number[] = [];
  readonly refused: number[] = [];

  write(token: number): void {
    if (token < (this.accepted.at(-1) ?? 0)) this.refused.push(token);
    else this.accepted.push(token);
  }
}

/** A process that holds the lock. */
async function holder(resource: Resource, port = use.server.port) {
  const args = [String(port), String(TTL)];
  const child = fork(new URL('./support/lock-holder.ts', import.meta.url), args, {
    execArgv: ['--conditions=@aiokit/source'],
  });
  holders.push(child);
  const state: { token: number; lost: boolean | null } = { token: 0, lost: null };
  child.on('message', (message: { token?: number; write?: number; lost?: boolean }) => {
    if (message.token !== undefined) state.token = message.token;
    if (message.write !== undefined) resource.write(message.write);
    if (message.lost !== undefined) state.lost = message.lost;
  });
  await until(() => state.token > 0, 'the lock of the other process');
  child.send('write');
  await until(() => resource.accepted.includes(state.token), 'its write');
  return { child, state };
}

test('a holder that is paused beyond the ttl: its late write is refused, and it is told of the loss', async () => {
  const resource = new Resource();
  const { child, state } = await holder(resource);
  child.kill('SIGSTOP');
  child.send('write'); // It is about to write: the check is behind it.
  const token = await use.admin.lock('l', { ttl: 10_000 }, (hold) => {
    resource.write(hold.token);
    return hold.token;
  });
  child.kill('SIGCONT');
  await until(() => resource.refused.length === 1, 'the late write');
  await until(() => state.lost !== null, 'the end of the other process’s body');
  expect(state.lost).toBe(true);
  expect(resource).toEqual({ accepted: [state.token, token], refused: [state.token] });
});

test('a holder that is killed: the next one has the lock after the ttl, with a higher token', async () => {
  const resource = new Resource();
  const { child, state } = await holder(resource);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const next = await holder(resource);
  expect(resource).toEqual({ accepted: [state.token, next.state.token], refused: [] });
});

test('a holder that is cut off from the server: it is told of the loss, and its late write is refused', async () => {
  await using proxy = await faultProxy(use.server);
  const resource = new Resource();
  const { child, state } = await holder(resource, proxy.port);
  proxy.hold();
  let wasTold: boolean | null = null;
  const token = await use.admin.lock('l', { ttl: 10_000 }, async (hold) => {
    resource.write(hold.token);
    await until(() => state.lost !== null, 'the end of the other process’s body');
    wasTold = state.lost;
    child.send('write');
    await until(() => resource.refused.length === 1, 'the late write');
    return hold.token;
  });
  expect(wasTold).toBe(true);
  expect(resource).toEqual({ accepted: [state.token, token], refused: [state.token] });
});
