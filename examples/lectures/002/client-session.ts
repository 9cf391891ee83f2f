// Row 25: the first 70 characters of a page. `await using` is Python's `async with`.
import { run } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { withPage } from '../page.ts';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  await withPage(async (url) => {
    await using session = new ClientSession();
    await using response = await session.get(url);
    const text = await response.text();
    print(`${text.slice(0, 70)}...`);
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
