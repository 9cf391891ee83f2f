/** Ends while a worker waits for work, and will for an hour. */
import { ProcessPoolExecutor, ThreadPoolExecutor } from '@aiokit/core/threads';

const Pool = process.argv[2] === 'thread' ? ThreadPoolExecutor : ProcessPoolExecutor;
const pool = new Pool({ idleTimeout: 3_600_000 });
console.log(await pool.submit(() => 'idle'));
