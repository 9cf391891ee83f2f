// Row 43: 500 requests with callbacks, and steps that follow each other. Both read straight down with tasks.
import { get } from 'node:http';
import { gather, run } from '@aiokit/core';
import { fetch } from '@aiokit/http';
import { withPage } from '../page.ts';
import { isProgram, type Print } from '../program.ts';

type Callback = (error: Error | null, length: number) => void;

function load(url: string, callback: Callback): void {
  get(url, { agent: false }, (response) => {
    let length = 0;
    response.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    response.on('end', () => callback(null, length));
  }).on('error', (error) => callback(error, 0));
}

/** Many at once: who counts the answers, who limits them, who stops the rest at the first error? All by hand. */
function loadManyWithCallbacks(url: string, count: number, done: (error: Error | null, answers: number) => void): void {
  let [started, answers, failed] = [0, 0, false];
  const next = () => {
    if (started++ >= count || failed) return;
    load(url, (error) => {
      if (failed) return;
      if (error !== null) {
        failed = true;
        return done(error, answers);
      }
      if (++answers === count) return done(null, answers);
      next();
    });
  };
  for (let i = 0; i < 20; i++) next();
}

/** Steps that follow each other: each has to stand inside the one before. */
function threeStepsWithCallbacks(url: string, done: Callback): void {
  load(`${url}style.css`, (error, style) => {
    if (error !== null) return done(error, 0);
    load(`${url}async.js`, (error, script) => {
      if (error !== null) return done(error, 0);
      load(`${url}easyXDM.js`, (error, another) => {
        if (error !== null) return done(error, 0);
        done(null, style + script + another);
      });
    });
  });
}

async function length(url: string): Promise<number> {
  const response = await fetch(url);
  return (await response.arrayBuffer()).byteLength;
}

export async function main(print: Print, count = 500): Promise<void> {
  await withPage(async (url) => {
    await new Promise<void>((resolve, reject) => {
      loadManyWithCallbacks(url, count, (error, answers) => {
        if (error !== null) return reject(error);
        print(`callbacks: ${answers} answers`);
        threeStepsWithCallbacks(url, (error, total) => {
          if (error !== null) return reject(error);
          print(`callbacks: ${total} bytes in three steps`);
          resolve();
        });
      });
    });

    const requests = Array.from({ length: count }, () => () => length(url));
    const answers = await gather(requests, { limit: 20 });
    print(`tasks: ${answers.length} answers`);
    const style = await length(`${url}style.css`);
    const script = await length(`${url}async.js`);
    const another = await length(`${url}easyXDM.js`);
    print(`tasks: ${style + script + another} bytes in three steps`);
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
