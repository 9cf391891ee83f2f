/**
 * Lease: a connection of its own for one blocking command at a time.
 *
 * CLIENT UNBLOCK names a connection, so its id must be known, and it changes with every reconnect; a blocked connection
 * cannot be asked. So CLIENT ID is sent right before each blocking command that is the first on its socket, also when
 * ioredis sends it again after a reconnect.
 */
import { Command as BaseCommand, Redis as BaseRedis, type RedisOptions } from 'ioredis';
import { type Command, inner, type SendCommand } from './ioredis.ts';
import { sendUnlessWithdrawn } from './withdrawal.ts';

export class Lease {
  readonly redis: BaseRedis;
  /** The options that lead to its node. */
  readonly options: RedisOptions;
  /** Told when the client is about to close: to end the blocking command, without losing what it may bring. */
  onDrain: (() => void) | null = null;
  private blocking: Command | null = null;
  private identified: unknown = null;
  private id: Promise<number | null> = Promise.resolve(null);
  private idle: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor(options: RedisOptions) {
    this.options = options;
    this.redis = new BaseRedis(options as { host: string });
    this.redis.on('error', ignore); // The client's own connection tells of the same trouble.
    const connection = inner(this.redis);
    const { sendCommand } = connection;
    connection.sendCommand = (command, stream) => {
      if (command === this.blocking && connection.status === 'ready') this.identify(sendCommand);
      return sendUnlessWithdrawn(connection, sendCommand, command, stream, undefined);
    };
  }

  /** Sends the one blocking command. */
  block(command: Command): void {
    this.blocking = command;
    this.redis.sendCommand(command as unknown as BaseCommand);
  }

  /** Whether the command is on a connection that can still answer it. */
  isBlocked(): boolean {
    return this.identified !== null && this.identified === inner(this.redis).stream && this.redis.status === 'ready';
  }

  /** The CLIENT ID of the connection that the blocking command was written to; null if the server would not tell. */
  clientId(): Promise<number | null> {
    return this.id;
  }

  /** Waits until it is connected, has failed to, or `stop` has settled. */
  async connected(stop: Promise<unknown>): Promise<void> {
    const { redis } = this;
    if (redis.status === 'ready' || redis.status === 'end') return;
    let wake: () => void = () => {};
    const either = new Promise<void>((resolve) => {
      wake = resolve;
    });
    redis.once('ready', wake).once('end', wake);
    stop.then(wake, wake);
    await either;
    redis.off('ready', wake).off('end', wake);
  }

  /** Where it is connected to, to be sure that two connections lead to one node. */
  address(): string | null {
    const { stream } = inner(this.redis);
    if (stream === undefined || stream.destroyed) return null;
    return stream.remoteAddress === undefined ? 'unix' : `${stream.remoteAddress}:${stream.remotePort}`;
  }

  /** Out of use, for at most so many ms; then it is closed. */
  rest(ms: number, closed: () => void): void {
    this.blocking = this.onDrain = null;
    this.idle = setTimeout(closed, ms).unref();
  }

  wake(): void {
    clearTimeout(this.idle);
  }

  /** Whether it can be used again. (One that is being closed is still `ready` to ioredis.) */
  isSound(): boolean {
    return !this.isClosed && this.redis.status === 'ready';
  }

  /** Cuts it off. ioredis forgets what is in flight when it is told so between two connections; so that is ended here. */
  close(): void {
    this.isClosed = true;
    clearTimeout(this.idle);
    this.redis.disconnect();
    this.blocking?.reject(new Error('Connection is closed.'));
  }

  private identify(send: SendCommand): void {
    const { stream } = inner(this.redis);
    if (this.identified === stream) return;
    this.identified = stream;
    const ask = new BaseCommand('client', ['ID'], { replyEncoding: 'utf8' });
    this.id = ask.promise.then(Number, () => null);
    send.call(this.redis, ask as unknown as Command);
  }
}

function ignore(): void {}
