/** A server that says where it is, and answers `/slow` after 300 ms. */
import { sleep } from '@aiokit/core';
import { serve } from '@aiokit/http/server';

const server = await serve(
  async (request) => {
    if (request.url.endsWith('/slow')) {
      console.log('slow');
      await sleep(300);
    }
    if (request.url.endsWith('/hang')) {
      console.log('hang');
      await sleep(60_000);
    }
    return new Response('whole');
  },
  { port: 0 },
);
console.log(server.url);
