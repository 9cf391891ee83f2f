import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface Forked extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Its next message. */
  message<T>(): Promise<T>;
  /** All that it wrote, when it has ended. */
  readonly output: Promise<string>;
  /** Ends it, or waits for its end, with this signal. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** A process of its own that runs a program of this folder, or of another by its path, on the sources. It ends with its scope. */
export function forked(program: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Forked {
  const child = fork(fileURLToPath(new URL(program, import.meta.url)), args, {
    execArgv: ['--conditions=@aiokit/source'],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  return {
    process: child,
    output: text(child.stdout as NodeJS.ReadableStream),
    message: async <T>() => {
      const [message] = await Promise.race([once(child, 'message'), exited.then(([code]) => [`ended with ${code}`])]);
      return message as T;
    },
    end: async (signal) => {
      if (signal) child.kill(signal);
      await exited;
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
