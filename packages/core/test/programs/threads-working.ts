/** Has nothing to do itself while a worker works. */
import { ProcessPoolExecutor, ThreadPoolExecutor } from '@aiokit/core/threads';

const Pool = process.argv[2] === 'thread' ? ThreadPoolExecutor : ProcessPoolExecutor;
const pool = new Pool();
const work = () => new Promise<string>((resolve) => setTimeout(resolve, 100, 'worked'));
pool.submit(work).addDoneCallback((job) => console.log(job.result()));
