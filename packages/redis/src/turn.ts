/**
 * What the tasks send in one turn of the loop leaves together.
 *
 * ioredis writes each command by itself, and the system call is two thirds of what a GET costs. The commands of tasks are
 * gathered in the socket (`cork`) until the turn ends, which pays for the task several times over. They keep their order
 * among all that is written to the connection, and nothing waits for longer than the code that runs.
 *
 * With `enableAutoPipelining` a task's commands wait for the end of the loop's iteration, as ioredis's do; but each goes its
 * own way from there, without the four promises that ioredis's shared pipeline makes for it, and a cancel of one takes
 * it out of the line. A cluster sends each to its node.
 */
import { detached } from '@aiokit/core';
import { type Command, type Connection, PASSAGE } from './ioredis.ts';

/** Everything that is written to the connection from now on leaves at the end of this turn. */
export function gatherWrites({ stream }: Connection): void {
  if (stream === undefined || stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(leave, stream);
}

function leave(stream: NonNullable<Connection['stream']>): void {
  stream.uncork();
}

/** The commands that wait for the end of the loop's iteration. */
export class Autopipeline {
  private readonly client: { sendCommand(command: unknown): unknown };
  private commands: Command[] = [];

  constructor(client: { sendCommand(command: unknown): unknown }) {
    this.client = client;
  }

  get length(): number {
    return this.commands.length;
  }

  sendCommand(command: Command): void {
    if (this.commands.push(command) === 1) detached(() => setImmediate(() => this.send()));
  }

  private send(): void {
    const { commands } = this;
    this.commands = [];
    for (const command of commands) {
      if (command[PASSAGE]?.withdrawn !== 'dropped') this.client.sendCommand(command);
    }
  }
}
