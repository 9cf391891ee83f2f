import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { abortable, race } from '@aiokit/core';
import type { UpstreamSettings } from './upstream.ts';

/** The running upstream server. Disposing of it ends its process. */
export interface Upstream extends AsyncDisposable {
  readonly url: string;
}

/** Starts upstream.ts. It ends with this process at the latest. */
export async function startUpstream(settings: UpstreamSettings): Promise<Upstream> {
  const child = fork(fileURLToPath(new URL('upstream.ts', import.meta.url)), [JSON.stringify(settings)]);
  const exit = once(child, 'exit');
  const [port] = await race([
    () => abortable((signal) => once(child, 'message', { signal })),
    async () => {
      const [status] = await abortable((signal) => once(child, 'exit', { signal }));
      throw new Error(`The upstream server ended at once, with status ${status}.`);
    },
  ]);
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      child.disconnect();
      await exit;
    },
  };
}
