/** Answers in two pieces, or not at all for a while; tells its address to who forked it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  if (request.url === '/slow') return void setTimeout(() => response.end('slow'), 5_000).unref();
  response.write('half');
  setTimeout(() => response.end('whole'), 3);
});
server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on('disconnect', () => process.exit());
