import type { Readable } from 'node:stream';

/** A stream that is sent as the body of a request. */
export class Upload {
  /** What it failed with. */
  error: Error | null = null;
  private readonly stream: Readable;

  constructor(stream: Readable) {
    this.stream = stream;
    stream.on('error', (error) => {
      this.error ??= error;
    });
  }

  /** Whether there is more to be sent. */
  get isUnderWay(): boolean {
    return !this.stream.readableEnded;
  }
}
