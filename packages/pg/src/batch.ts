/** executeMany: one statement with many sets of values, without a round trip for each. */
// Whoever uses these sources instead of the build sees no other declaration of it.
/// <reference path="./pg-utils.d.ts" />
import utils from 'pg/lib/utils.js';
import type { BackendMessage, Callback, QueuedQuery, WireConnection } from './pg-internals.ts';

/** So many sets are written at once; then the server's answers are awaited, lest both sides fill their buffers. */
const CHUNK = 500;

/**
 * Parse once; then Bind and Execute for each set; one Sync at the end. All of it is one transaction, if none is open: after
 * an error the server skips the rest and undoes what it did.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export class BatchQuery implements QueuedQuery {
  readonly text: string;
  callback: Callback<never> | undefined;
  private readonly sets: readonly unknown[][];
  private written = 0;
  private completed = 0;
  private affected = 0;
  private synced = false;
  private failed = false;

  /** The values are prepared here, so that one that cannot be sent fails before anything is. */
  constructor(text: string, sets: Iterable<readonly unknown[]>) {
    this.text = text;
    this.sets = Array.from(sets, (values, index) => {
      if (!Array.isArray(values))
        throw new TypeError(`sets[${index}] must be an array of values, got ${typeof values}`);
      return values.map(utils.prepareValue);
    });
  }

  get size(): number {
    return this.sets.length;
  }

  submit(connection: WireConnection): null {
    connection.stream.cork();
    connection.parse({ text: this.text });
    this.writeChunk(connection);
    connection.stream.uncork();
    return null;
  }

  handleCommandComplete(message: { text: string }, connection: WireConnection): void {
    this.affected += Number(/(\d+)$/.exec(message.text)?.[1] ?? 0);
    this.count(connection);
  }

  handleEmptyQuery(connection: WireConnection): void {
    this.count(connection);
  }

  handleError(error: Error, connection: WireConnection): void {
    this.failed = true;
    this.sync(connection);
    this.callback?.(error);
  }

  handleReadyForQuery(): void {
    if (!this.failed) this.callback?.(null, { rowCount: this.affected } as never);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(connection: WireConnection): void {
    connection.sendCopyFail('executeMany cannot COPY');
  }
  handleCopyData(_message: BackendMessage): void {}

  private count(connection: WireConnection): void {
    this.completed++;
    if (this.completed < this.written || this.synced) return;
    connection.stream.cork();
    this.writeChunk(connection);
    connection.stream.uncork();
  }

  private writeChunk(connection: WireConnection): void {
    const end = Math.min(this.written + CHUNK, this.sets.length);
    for (; this.written < end; this.written++) {
      connection.bind({ values: this.sets[this.written] as unknown[], valueMapper: asIs });
      connection.execute({});
    }
    if (this.written === this.sets.length) this.sync(connection);
    else connection.flush();
  }

  private sync(connection: WireConnection): void {
    if (this.synced) return;
    this.synced = true;
    connection.sync();
  }
}

function asIs(value: unknown): unknown {
  return value;
}
