import { freePort } from './free-port.ts';
import type { Guard } from './guard.ts';
import {
  type ControlledProcess,
  type ServerControl,
  ServerProcess,
  type ServerProgram,
  ServerStartError,
} from './server-process.ts';

/** A server that we started ourselves: it can be controlled, and disposing of it ends it. The base of the two real ones. */
export class OwnServer implements ServerControl, AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #process: ControlledProcess;
  readonly #guard: Guard;

  constructor(running: RunningProgram) {
    this.port = running.port;
    this.#process = running.process;
    this.#guard = running.guard;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether it could be asked now. Where it is down there is nothing to tidy up: its data are about to be thrown away. */
  protected get running(): boolean {
    return this.#process.running;
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  restart(): Promise<void> {
    return this.#process.restart();
  }

  pause(): Promise<void> {
    return this.#process.pause();
  }

  resume(): Promise<void> {
    return this.#process.resume();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }

  log(): Promise<string> {
    return this.#process.log();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.endWith(this.#guard);
  }
}

export interface RunningProgram {
  readonly guard: Guard;
  readonly process: ControlledProcess;
  readonly port: number;
}

const START_ATTEMPTS = 3;

/** Starts a program on a free port; on another one if somebody else was quicker to take it. */
export async function startOnFreePort(
  guard: Guard,
  programOn: (port: number) => ServerProgram,
): Promise<RunningProgram> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const process = new ServerProcess(programOn(port));
    try {
      await process.start();
      return { guard, process, port };
    } catch (error) {
      const again = error instanceof ServerStartError && error.portWasTaken && attempt < START_ATTEMPTS;
      if (!again) throw error;
    }
  }
}
