/** Exits while a worker process is busy. */
import { ProcessPoolExecutor } from '@aiokit/core/threads';

const pool = new ProcessPoolExecutor({ maxWorkers: 1 });
await pool.submit(() => 'started');
void pool.submit(() => {
  for (;;);
});
process.stdout.write('exits\n', () => process.exit(5));
