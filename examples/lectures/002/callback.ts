// Row 17: the answer comes to a callback; and the same with `await`, where it comes to the next line.
import { get, type IncomingMessage } from 'node:http';
import { run } from '@aiokit/core';
import { fetch } from '@aiokit/http';
import { withPage } from '../page.ts';
import { isProgram, type Print } from '../program.ts';

const first = (text: string) => `${text.slice(0, 70)}...`;

/** What is asked for next has to be asked for in here: this is how pyramids of callbacks grow. */
function fetchWithCallback(url: string, handle: (error: Error | null, body: string) => void): void {
  get(url, (response: IncomingMessage) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (chunk) => {
      body += chunk;
    });
    response.on('end', () => handle(null, body));
  }).on('error', (error) => handle(error, ''));
}

export async function main(print: Print): Promise<void> {
  await withPage(async (url) => {
    await new Promise<void>((resolve, reject) => {
      fetchWithCallback(url, (error, body) => {
        if (error !== null) return reject(error);
        print(first(body));
        resolve();
      });
      print('the request is on its way');
    });

    const response = await fetch(url);
    print(first(await response.text()));
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
