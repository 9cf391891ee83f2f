// Row 56: from WSGI to ASGI. The interface between a server and an app is a function `(Request) => Response`, for whichever
// framework; uvicorn's place is `serve`'s: `--workers 2` is `workers: 2`, and SIGTERM lets everybody finish.
import cluster from 'node:cluster';
import { run, sleep } from '@aiokit/core';
import { serve } from '@aiokit/http/server';
import { isProgram } from '../program.ts';

export default async function app(request: Request): Promise<Response> {
  if (new URL(request.url).pathname === '/slow') {
    console.log('a slow one begins');
    await sleep(500);
  }
  return Response.json({ 'answered by': process.pid });
}

if (isProgram(import.meta)) {
  await run(async () => {
    await using server = await serve(app, { port: Number(process.env.PORT ?? 8000), workers: 2 });
    if (cluster.isPrimary) console.log(server.url);
    await server.untilClosed();
  });
}
