/** The README's recipe. */
import { ClientSession, type WebSocketConnection } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';

test('members of a room hear each other, nobody else does, and one who leaves is forgotten', async () => {
  const rooms = new Map<string, Set<WebSocketConnection>>();
  const app = new Hono();
  app.get('/rooms/:name', (c) =>
    acceptWebSocket(async (socket) => {
      const name = c.req.param('name');
      const members = rooms.get(name) ?? new Set();
      rooms.set(name, members.add(socket));
      try {
        for await (const message of socket) {
          for (const member of members) member.send(message).catch(() => {});
        }
      } finally {
        members.delete(socket);
        if (members.size === 0) rooms.delete(name);
      }
    }),
  );
  await using server = await serve(app, { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url });
  const join = (name: string) => session.wsConnect(`/rooms/${name}`);
  const [anna, ben, cleo] = await Promise.all([join('blue'), join('blue'), join('red')]);
  await eventually(() => expect([rooms.get('blue')?.size, rooms.get('red')?.size]).toEqual([2, 1]));
  await anna.send('hello');
  expect([await anna.receive(), await ben.receive()]).toEqual(['hello', 'hello']);
  await ben.close();
  await eventually(() => expect(rooms.get('blue')?.size).toBe(1));
  await anna.send('still there?');
  await cleo.send('alone');
  expect([await anna.receive(), await cleo.receive()]).toEqual(['still there?', 'alone']);
  await Promise.all([anna.close(), cleo.close()]);
  await eventually(() => expect(rooms.size).toBe(0));
});
