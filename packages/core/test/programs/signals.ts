/** Main waits; a signal comes. */
import { Queue, run, sleep, timeout } from '@aiokit/core';
import { loadSecondCopy } from '../support/second-copy.ts';

const how = process.argv[2];
if (how === 'own listener') {
  process.on('SIGINT', () => {
    console.log('own listener');
    process.exit(3);
  });
}

async function busy(): Promise<void> {
  const queue = new Queue<number>(1);
  await Promise.all([
    (async () => {
      for (let i = 0; ; i++) await queue.put(i);
    })(),
    (async () => {
      for (;;) await queue.get();
    })(),
  ]);
}

/** Of one copy of core, or of two. */
async function two(runOther: typeof run): Promise<void> {
  const main = async (name: string, ms: number) => {
    try {
      await sleep(10_000);
    } finally {
      await sleep(ms);
      console.log(`${name} cleaned up`);
    }
  };
  const both = [run(() => main('quick', 1)), runOther(() => main('slow', 100))];
  await sleep(1);
  process.stdout.write('ready\n');
  await Promise.all(both);
}

try {
  if (how === 'two') await two(run);
  if (how === 'two copies') await two((await loadSecondCopy()).run);
  await run(async () => {
    process.stdout.write('ready\n');
    try {
      await (how === 'busy' ? busy() : sleep(10_000));
    } finally {
      if (how === 'second') {
        process.stdout.write('ready\n');
        await sleep(10_000);
      }
      await timeout(100, () => sleep(10));
      console.log('cleaned up');
    }
  });
} finally {
  console.log('never');
}
