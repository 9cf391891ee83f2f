/**
 * The sockets that a test opens, its adapters' included: async_hooks names the test at whose bidding each was made, also
 * when a pool made it detached from any task.
 */
import { createHook } from 'node:async_hooks';
import type { Socket } from 'node:net';
import { currentRun } from './current-run.ts';
import { delay, realNow } from './real-time.ts';

export interface OpenConnection {
  /** Such as `127.0.0.1:5432`. */
  readonly peer: string;
  /** Where it was opened. */
  readonly site: Error;
}

/** What was opened on behalf of one test. */
export class Connections {
  private readonly opened: { handle: WeakRef<object>; site: Error }[] = [];

  /** @internal */
  add(handle: object): void {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 50; // Drivers open theirs from deep inside.
    this.opened.push({ handle: new WeakRef(handle), site: new Error('opened here') });
    Error.stackTraceLimit = stackTraceLimit;
  }

  /** Those that are still open and keep the process alive, after giving the ones that are closing up to `patience` ms. */
  async leftOpen(patience: number): Promise<OpenConnection[]> {
    const end = realNow() + patience;
    for (;;) {
      const open = this.open();
      if (open.length === 0 || realNow() >= end) return open;
      await delay(5);
    }
  }

  private open(): OpenConnection[] {
    const open: OpenConnection[] = [];
    for (const { handle, site } of this.opened) {
      const found = handle.deref() as (object & { hasRef?(): boolean }) | undefined;
      const owner = found === undefined ? undefined : ownerOf(found);
      if (owner === undefined || found?.hasRef?.() !== true) continue;
      // One that has said its goodbye is closed by the peer, in the peer's time.
      if (owner.destroyed === false && !owner.writableEnded) open.push({ peer: peerOf(owner), site });
      else if (owner.listening) open.push({ peer: 'a server that listens', site });
    }
    return open;
  }
}

type Owner = Partial<Socket> & { listening?: boolean };

/** The Socket or Server of a handle: Node keeps it there under a symbol of its own. */
function ownerOf(handle: object): Owner | undefined {
  const key = Object.getOwnPropertySymbols(handle).find((symbol) => symbol.description === 'owner_symbol');
  return key === undefined ? undefined : (handle as Record<symbol, Owner>)[key];
}

function peerOf(socket: Owner): string {
  return socket.remoteAddress === undefined ? 'a local socket' : `${socket.remoteAddress}:${socket.remotePort}`;
}

const KINDS = new Set(['TCPWRAP', 'PIPEWRAP', 'TCPSERVERWRAP', 'PIPESERVERWRAP']);

const hook = createHook({
  init(_id, type, _trigger, resource) {
    if (KINDS.has(type)) currentRun()?.connections.add(resource);
  },
  ...({ trackPromises: false } as object),
});
let watchers = 0;

/** Watches until the function returned is called. */
export function watchConnections(): () => void {
  if (watchers++ === 0) hook.enable();
  return () => {
    if (--watchers === 0) hook.disable();
  };
}
