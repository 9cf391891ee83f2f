/** Programs that run in a process of their own: what a signal, an exit or an unhandled rejection does can be seen only there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly args?: readonly string[];
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Sent when the program has printed `ready`, and once more for each further `ready`. */
  readonly signal?: NodeJS.Signals;
}

/** Runs `test/programs/<name>` and waits for its end. A program that hangs is killed after 15 s. */
export async function runProgram(name: string, options: ProgramOptions = {}): Promise<Ended> {
  const file = fileURLToPath(new URL(`../programs/${name}`, import.meta.url));
  const child = spawn(
    process.execPath,
    ['--conditions=@aiokit/source', '--expose-gc', ...(options.execArgv ?? []), file, ...(options.args ?? [])],
    { env: { ...process.env, NODE_OPTIONS: '', ...options.env }, timeout: 15_000, killSignal: 'SIGKILL' },
  );
  let stdout = '';
  let stderr = '';
  let sent = 0;
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk;
    const ready = stdout.split('ready\n').length - 1;
    if (options.signal !== undefined) for (; sent < ready; sent++) child.kill(options.signal);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}
