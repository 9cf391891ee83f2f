// Row 26: a server that says hello, to a name from the path or to nobody in particular.
import { run } from '@aiokit/core';
import { serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram } from '../program.ts';

export const app = new Hono();

// A parameter that may be left out is one route here, where the notes have two for one handler.
app.get('/:name?', async (c) => {
  const name = c.req.param('name') ?? 'Anonymous';
  // Some more logic with await would be here.
  return c.text(`Hello, ${name}`);
});

if (isProgram(import.meta)) {
  await run(async () => {
    await using server = await serve(app, { port: 8080 });
    console.log(server.url);
    await server.untilClosed();
  });
}
