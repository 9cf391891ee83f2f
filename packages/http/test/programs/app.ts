/** An app for the command line: `/` says which process answered, `/die` ends it, `/slow` says when it begins and takes 300 ms, `/once?id` says which id it was given, `/block` says so, too, and blocks its process for ever. */
import { sleep } from '@aiokit/core';

export default async (request: Request): Promise<Response> => {
  const { pathname, search } = new URL(request.url);
  if (pathname === '/die') process.exit(1);
  if (pathname === '/block') {
    process.stdout.write('block begins\n');
    for (;;);
  }
  if (pathname === '/once') {
    console.log(`once${search}.`);
    await sleep(5);
  }
  if (pathname === '/slow') {
    console.log('slow begins');
    await sleep(300);
  }
  return new Response(String(process.pid));
};
