/**
 * Withdrawal: a cancelled command is never sent, nor sent again.
 *
 * ioredis passes a command through `sendCommand` more than once: from the offline queue, after a reconnect (also one that
 * was rejected meanwhile, see https://github.com/redis/ioredis/issues/2130), after MOVED and ASK. So the mark is on the
 * command, and a guard stands before every connection's `sendCommand`.
 */
import {
  type Command,
  type Connection,
  PASSAGE,
  type Passage,
  type PipelineStream,
  type SendCommand,
} from './ioredis.ts';
import { gatherWrites } from './turn.ts';

/** The error of a withdrawn command's own promise. Nobody sees it but diagnostics: the caller has the CancelledError. */
class Withdrawn extends Error {
  override readonly name = 'WithdrawnError';
}

/** A command that stands for itself: if it was not sent it never is, and if it was, its reply is dropped in its turn. */
export function withdraw(command: Command, passage: Passage): void {
  passage.withdrawn = 'dropped';
  command.reject(new Withdrawn('The command was cancelled'));
}

/** Every command of a pipeline or transaction, so that all or none of it takes effect. Those sent keep their results. */
export function withdrawAll(commands: readonly Command[], passage: Passage): void {
  passage.withdrawn = 'dropped';
  for (const command of commands) command[PASSAGE] = passage;
}

/**
 * One command of an autopipeline, which belongs to several tasks. Its place must stay (results are matched by position),
 * and it must look like a read that succeeded: else a cluster would not follow a MOVED for its neighbours.
 */
export function withdrawFromShared(command: Command, passage: Passage): void {
  passage.withdrawn = 'blank';
  command.name = 'get';
  command.reject = () => void command.resolve(null);
}

/** What every connection's `sendCommand` becomes. */
export function sendUnlessWithdrawn(
  connection: Connection,
  send: SendCommand,
  command: Command,
  stream: PipelineStream | undefined,
  node: unknown,
): unknown {
  const passage = command[PASSAGE];
  if (passage === undefined) return send.call(connection, command, stream, node);
  if (passage.withdrawn === null) {
    if (connection.status === 'ready') {
      passage.sent = true;
      if (stream === undefined) gatherWrites(connection);
    }
    return send.call(connection, command, stream, node);
  }
  if (passage.withdrawn === 'dropped') {
    command.reject(new Withdrawn('The command was cancelled before it was sent'));
  } else if (connection.status !== 'ready' || !connection.stream?.writable) {
    return send.call(connection, command, stream, node); // It stands in line with its pipeline.
  } else {
    stream?.write('');
    command.resolve(null);
  }
  return command.promise;
}

/** Guards a connection that is not of our class: a cluster's node, a leased connection. */
export function guardConnection(connection: Connection): void {
  const send = connection.sendCommand;
  connection.sendCommand = (command, stream, node) => sendUnlessWithdrawn(connection, send, command, stream, node);
}

/**
 * Forgets cancelled commands that wait for a connection, so that an outage with a timeout on each retry does not fill the
 * memory. Now and then, when they are the majority: each command is looked at a bounded number of times.
 */
export class OfflineCleaner {
  private readonly connection: Connection;
  private withdrawn = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  oneMore(): void {
    const queue = this.connection.offlineQueue;
    if (++this.withdrawn < 64 || this.withdrawn * 2 < queue.length) return;
    this.withdrawn = 0;
    const items = queue.toArray();
    queue.clear();
    for (const item of items) if (item.command[PASSAGE]?.withdrawn !== 'dropped') queue.push(item);
  }
}
