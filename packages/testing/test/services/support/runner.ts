// A test runner: three files in a process each, at once; the first two end before the third asks again.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const start = () => fork(fileURLToPath(new URL('./sharer.ts', import.meta.url)));
const hear = async (file: ReturnType<typeof fork>) => (await once(file, 'message'))[0];
const end = async (file: ReturnType<typeof fork>) => {
  file.send('end');
  await once(file, 'exit');
};

const files = [start(), start(), start()];
const heard = await Promise.all(files.map(hear));
await Promise.all(files.map(end));
const late = start();
heard.push(await hear(late));
await end(late);
process.send?.(heard);
setInterval(() => {}, 1000);
