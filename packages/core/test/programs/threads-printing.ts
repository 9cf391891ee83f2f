/** A job prints while it blocks; the process ends as soon as it has the result. */
import { ProcessPoolExecutor, ThreadPoolExecutor } from '@aiokit/core/threads';

const Pool = process.argv[2] === 'thread' ? ThreadPoolExecutor : ProcessPoolExecutor;
const result = await new Pool().submit(() => {
  for (const line of ['one', 'two', 'three']) {
    console.log(line);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
  console.error('aside');
  return 'end';
});
console.log(result);
