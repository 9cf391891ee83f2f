import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { eventually } from '../real-time.ts';
import { freePort } from './free-port.ts';
import { type Guard, guardedDirectory } from './guard.ts';
import type { ControlledProcess } from './server-process.ts';
import type { SharedLife } from './shared-server.ts';

// A container may have to be downloaded: no limit on its start, but the engine itself answers at once or not at all.
const ENGINE_LIMIT = 5_000;
const START_LIMIT = 60_000;

/** Whether a docker engine answers. */
export async function dockerRuns(): Promise<boolean> {
  if (process.platform === 'win32') return false; // its guard is a POSIX shell
  return docker(['info'], ENGINE_LIMIT).then(
    () => true,
    () => false,
  );
}

export interface ContainerOptions {
  readonly image: string;
  /** The port inside. */
  readonly port: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly life?: SharedLife | undefined;
  /** Whether the server on this port of 127.0.0.1 answers. */
  isReady(port: number): Promise<boolean>;
}

/** Starts a server in a container, which its guard removes as it ends other servers. */
export async function startContainer(
  options: ContainerOptions,
): Promise<{ guard: Guard; process: ControlledProcess; port: number }> {
  const name = `aiokit-${randomBytes(6).toString('hex')}`;
  const guard = await guardedDirectory({ prefix: 'aiokit-docker-', signal: 'KILL', container: name, ...options.life });
  try {
    const port = await freePort();
    const environment = Object.entries(options.environment ?? {}).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
    const published = ['-p', `127.0.0.1:${port}:${options.port}`];
    await docker(['run', '-d', '--name', name, ...published, ...environment, options.image, ...options.args]);
    const container = new Container(name, () => options.isReady(port));
    await container.ready();
    return { guard, process: container, port };
  } catch (error) {
    await guard[Symbol.asyncDispose]();
    throw error;
  }
}

class Container implements ControlledProcess {
  readonly #name: string;
  readonly #isReady: () => Promise<boolean>;
  #running = true;

  constructor(name: string, isReady: () => Promise<boolean>) {
    this.#name = name;
    this.#isReady = isReady;
  }

  /** Of the engine's client, which is not the server: none. */
  readonly pid = undefined;

  get running(): boolean {
    return this.#running;
  }

  async ready(): Promise<void> {
    if (await eventually(this.#isReady, { every: 50, limit: START_LIMIT })) return;
    throw new Error(
      `The container ${this.#name} was not ready ${START_LIMIT / 1000} s after its start:\n${await this.log()}`,
    );
  }

  async kill(): Promise<void> {
    if (this.#running) await docker(['kill', this.#name]);
    this.#running = false;
  }

  async stop(): Promise<void> {
    await docker(['stop', this.#name]);
    this.#running = false;
  }

  async restart(): Promise<void> {
    await docker(['restart', this.#name]);
    this.#running = true;
    await this.ready();
  }

  async pause(): Promise<void> {
    await docker(['pause', this.#name]);
  }

  async resume(): Promise<void> {
    await docker(['unpause', this.#name]);
  }

  log(): Promise<string> {
    return docker(['logs', this.#name]);
  }

  async endWith(guard: Guard): Promise<void> {
    this.#running = false;
    await guard[Symbol.asyncDispose]();
  }
}

async function docker(args: readonly string[], timeout = 0): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('docker', args, { timeout });
  return stdout + stderr;
}
