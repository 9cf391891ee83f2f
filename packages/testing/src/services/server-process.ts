import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../real-time.ts';
import { LOG_FILE, PID_FILE } from './guard.ts';
import { childrenOf, freeze, isAlive, signal } from './process-tree.ts';
import type { SystemUser } from './system-user.ts';

/** What a test can do to a server of its own. Each method may be called in any state, also twice. */
export interface ServerControl {
  /**
   * Ends the server and everything it started with SIGKILL, as `kill -9` or the kernel's out-of-memory killer would: nothing is
   * flushed, no connection is told. Its port is free and its data are as the crash left them when this resolves.
   */
  kill(): Promise<void>;
  /** Stops the server as its administrator would, if it runs, and starts it again on the same port, with the same data. */
  restart(): Promise<void>;
  /**
   * Freezes the server (SIGSTOP, with everything it started): connections stay open and are still accepted by the kernel,
   * and nothing answers.
   */
  pause(): Promise<void>;
  /** Lets a paused server go on where it was. */
  resume(): Promise<void>;
  /** Stops the server as its administrator would: sessions are told, data are kept. `restart()` starts it again. */
  stop(): Promise<void>;
  /** What the server has logged so far. */
  log(): Promise<string>;
}

/** What runs a server: a program here, a container in docker.ts. */
export interface ControlledProcess extends ServerControl {
  /** The process id; undefined while the server does not run, and for a container. */
  readonly pid: number | undefined;
  readonly running: boolean;
  /** Closes the guard, which ends the server and removes its directory. There is no way back. */
  endWith(guard: AsyncDisposable): Promise<void>;
}

/** A server's program, and how to deal with it. */
export interface ServerProgram {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Whose directory holds the log and the pid: the guard's. */
  readonly directory: string;
  readonly user?: SystemUser | undefined;
  /** The signal of an administrator's stop. */
  readonly stopSignal: NodeJS.Signals;
  /** Asked until it says yes. */
  isReady(pid: number): Promise<boolean>;
}

// Real milliseconds. A server on a loaded machine that has to recover from a kill takes a while; past this it hangs.
const START_LIMIT = 30_000;
const STOP_LIMIT = 10_000;

// The pid is written before the program starts: see guard.ts.
const LAUNCHER = 'echo $$ > "$0" && exec "$@"';

/** One program, started and stopped any number of times. The guard of its directory ends it with this process. */
export class ServerProcess implements ControlledProcess {
  readonly #program: ServerProgram;
  #child: ChildProcess | undefined;
  #paused = false;
  #disposed = false;

  constructor(program: ServerProgram) {
    this.#program = program;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** @throws {ServerStartError} when it ends or is not ready in time; its message ends with the server's log */
  async start(): Promise<void> {
    const child = await this.#spawn();
    const pid = child.pid as number;
    const settled = await eventually(async () => hasEnded(child) || (await this.#program.isReady(pid)), {
      limit: START_LIMIT,
    });
    if (hasEnded(child)) throw await this.#startError('ended while starting');
    if (!settled) {
      await this.kill();
      throw await this.#startError(`was not ready ${START_LIMIT / 1000} s after its start`);
    }
    child.unref(); // a server that the test forgot is no reason to stay; its guard ends it
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const pid = child.pid as number;
    await freeze(pid); // so that it starts nothing more while we look
    const children = await childrenOf(pid);
    const exited = this.#exit(child);
    for (const each of [pid, ...children]) signal(each, 'SIGKILL');
    await exited;
    await this.#gone(children);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    await this.resume();
    const exited = this.#exit(child);
    child.kill(this.#program.stopSignal);
    await exited;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async pause(): Promise<void> {
    const pid = this.#runningPid('pause');
    this.#paused = true;
    await freeze(pid);
    await Promise.all((await childrenOf(pid)).map(freeze));
  }

  async resume(): Promise<void> {
    if (!this.#paused || this.pid === undefined) return;
    this.#paused = false;
    for (const each of await childrenOf(this.pid)) signal(each, 'SIGCONT');
    signal(this.pid, 'SIGCONT');
  }

  async endWith(guard: AsyncDisposable): Promise<void> {
    this.#disposed = true;
    await this.resume(); // PostgreSQL gives backends that are stopped five seconds before it kills them
    const child = this.#child;
    await Promise.all([child && this.#exit(child), guard[Symbol.asyncDispose]()]);
  }

  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8');
  }

  get #logFile(): string {
    return join(this.#program.directory, LOG_FILE);
  }

  async #spawn(): Promise<ChildProcess> {
    const { command, args, user, directory } = this.#program;
    if (this.#disposed) throw new Error(`${this.#program.name} was disposed of: its data are gone.`);
    if (this.#child) throw new Error(`${this.#program.name} runs already, as process ${this.#child.pid}.`);
    const pidFile = join(directory, PID_FILE);
    const log = await open(this.#logFile, 'a');
    try {
      // Its own session: Ctrl-C on the terminal is for the tests, which may still need their server to clean up.
      const child = spawn('/bin/sh', ['-c', LAUNCHER, pidFile, command, ...args], {
        ...user,
        cwd: directory,
        detached: true,
        env: { ...process.env, LC_ALL: 'C' },
        stdio: ['ignore', log.fd, log.fd],
      });
      this.#child = child;
      this.#paused = false;
      child.once('exit', () => {
        this.#child = undefined;
        rmSync(pidFile, { force: true });
      });
      await once(child, 'spawn');
      return child;
    } catch (error) {
      this.#child = undefined;
      throw error;
    } finally {
      await log.close();
    }
  }

  async #exit(child: ChildProcess): Promise<void> {
    if (hasEnded(child)) return;
    child.ref();
    await once(child, 'exit');
  }

  async #gone(pids: readonly number[]): Promise<void> {
    const anyAlive = async () => (await Promise.all(pids.map(isAlive))).includes(true);
    const gone = await eventually(async () => !(await anyAlive()), { limit: STOP_LIMIT });
    if (!gone)
      throw new Error(
        `${this.#program.name}: processes ${pids.join(', ')} still run ${STOP_LIMIT / 1000} s after SIGKILL.`,
      );
  }

  #runningPid(operation: string): number {
    if (this.pid !== undefined) return this.pid;
    throw new Error(`${operation}(): ${this.#program.name} does not run; restart() starts it again.`);
  }

  async #startError(what: string): Promise<ServerStartError> {
    const log = (await this.log().catch(() => '')).trimEnd().split('\n').slice(-20).join('\n');
    return new ServerStartError(`${this.#program.name} (${this.#program.command}) ${what}. Its log ends with:\n${log}`);
  }
}

/** Asked, not told: on a busy machine it has ended before anybody could listen for that. */
function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** A server was found but did not come up. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';

  /** Whether somebody else took the port between our look and the server's start. */
  get portWasTaken(): boolean {
    return /address already in use/i.test(this.message);
  }
}
