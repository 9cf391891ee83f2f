// A test file's process, as a runner starts it: uses the run's servers, tells what it got, and stays until it is told to end.
import { once } from 'node:events';
import { postgres, redis } from '@aiokit/testing/services';

const [sql, store] = await Promise.all([postgres({ server: 'shared' }), redis({ server: 'shared' })]);
const database = await sql.database();
process.send?.({
  postgres: { port: sql.port, url: sql.url, database: database.name },
  redis: { port: store.port, url: store.url },
});
await once(process, 'message');
await sql[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
process.disconnect();
