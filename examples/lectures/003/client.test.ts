import { run } from '@aiokit/core';
import { expect, test } from 'vitest';
import { main as blockingHttp } from './blocking-http.ts';

test('row 37: a blocking client makes one request at a time, the mended ones all at once', async () => {
  const lines: string[] = [];
  await run(() => blockingHttp((line) => lines.push(line)), { handleSignals: false });
  const together = (who: string) => [...Array(3).fill(`${who}: asks`), ...Array(3).fill(`${who}: 200`)];
  const around = (inner: string[]) => ['выполняется main с аргументами ()', ...inner, 'main завершилась за N с'];
  expect(lines.map((line) => line.replace(/\d+\.\d+/, 'N'))).toEqual([
    ...around(Array(3).fill(['blocking: asks', 'blocking: 200']).flat()),
    ...around(together('waiting')),
    ...around(together('in a thread')),
  ]);
});
