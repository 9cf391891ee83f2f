import type { Client } from '../client.ts';
import { PgCall } from './call.ts';

/** The first connection of a client. A cancel gives the client up. */
export class ConnectCall<C extends Client> extends PgCall<C> {
  private readonly client: C;

  constructor(client: C) {
    super();
    this.client = client;
  }

  start(connect: (callback: (error: Error | null | undefined) => void) => void): this {
    connect((error) => {
      if (this.done()) return;
      if (!error) this.succeed(this.client);
      else if (this.cancelRequest !== null) this.confirmCancel(this.cancelRequest);
      else this.fail(error);
    });
    return this;
  }

  override get [Symbol.toStringTag](): string {
    return 'client.connect()';
  }

  protected override onCancel(): void {
    this.client._destroy();
  }
}
