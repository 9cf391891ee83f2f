import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, timeout } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { runTest } from '@aiokit/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

let server: Server;
let url: string;
beforeAll(async () => {
  // Outside of any test: a server like any other, whose time is real.
  server = createServer((request, response) => {
    const parts = Number(new URL(request.url ?? '/', 'http://localhost').searchParams.get('parts'));
    const send = (n: number): void => {
      if (n > parts) return void response.end();
      response.write(`part ${n};`);
      setTimeout(send, 5, n + 1);
    };
    setTimeout(send, 20, 1);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

test('a one-hour virtual timeout never beats an answer that is 20 ms late', () =>
  runTest(async ({ clock }) => {
    await using session = new ClientSession();
    for (let i = 0; i < 10; i++) {
      const text = await timeout(3_600_000, async () => (await session.get(`${url}/?parts=2`)).text());
      expect([text, clock.now()]).toEqual(['part 1;part 2;', 0]);
    }
  }));

test('a body read in parts with virtual sleeps between does not hang', () =>
  runTest(async ({ clock }) => {
    await using session = new ClientSession();
    const response = await session.get(`${url}/?parts=5`);
    let text = '';
    let sleeps = 0;
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      await sleep(1_000);
      sleeps++;
    }
    expect(text).toBe('part 1;part 2;part 3;part 4;part 5;');
    expect(clock.now()).toBe(sleeps * 1_000);
  }));

test('a request to a server in this process whose handler sleeps virtually does not deadlock', () =>
  runTest(async ({ clock }) => {
    await using own = await serve(
      async () => {
        await sleep(60_000);
        return new Response('awake');
      },
      { port: 0 },
    );
    await using session = new ClientSession();
    const response = await timeout(3_600_000, () => session.get(own.url));
    expect(await response.text()).toBe('awake');
    expect(clock.now()).toBe(60_000);
  }));
