/**
 * Nothing outlives the test process. Each server has a guard: a shell of about one megabyte that blocks on its standard input,
 * a pipe whose other end only this process holds. When the pipe closes, because the server was disposed of or because this
 * process ended in any way, SIGKILL included, the guard ends the server and removes its directory. Disposal takes the same path,
 * so every test tries it.
 *
 * The server writes its pid into that directory before it becomes the server (`exec` keeps the pid). If this process dies
 * in between, either the guard finds the pid, or the directory is gone and the server does not start.
 *
 * Rejected: exit handlers (SIGKILL runs none), process groups (each PostgreSQL backend calls setsid), PR_SET_PDEATHSIG
 * (Linux alone, needs native code), a guard in Node (40 MB and 40 ms each).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchDirectory } from './scratch-directory.ts';
import type { SystemUser } from './system-user.ts';

/** Where a guarded server's pid stands, and where it logs to, inside its directory. */
export const PID_FILE = 'server.pid';
export const LOG_FILE = 'log';

// Left by a PostgreSQL that did not end in order. Its seventh line names a segment of System V shared memory that would stay for ever.
const POSTMASTER_FILE = 'data/postmaster.pid';

// $1: directory, $2: signal that ends the server at once, $3: the process to live as long as (none: until standard input closes),
// $4: a file that goes too, $5: a container that goes too.
// SIGCONT first: a server that a test has paused would not see the signal. Whoever inherits an orphan may collect it late, or never
// (a container without an init): on Linux a process that ended is known by its state, and one that got the server's pid after it
// by its output, which is not our log.
const SCRIPT = `
PATH="$PATH:/usr/bin:/bin"
alive() {
  kill -0 "$1" || return 1
  ! read -r stat < "/proc/$1/stat" || case $stat in *') Z '*) return 1;; esac
}
ours() { [ ! -d /proc/self ] || [ "$(readlink "/proc/$2/fd/1")" = "$1/${LOG_FILE}" ]; }
if [ -n "$3" ]; then while alive "$3"; do sleep 0.25; done; else cat; fi
if read -r pid < "$1/${PID_FILE}" && ours "$1" "$pid"; then
  kill -CONT "$pid"; kill "-$2" "$pid"
  n=0; while alive "$pid" && [ $n -lt 1000 ]; do n=$((n + 1)); sleep 0.01; done
  kill -KILL "$pid"
fi
[ ! -f "$1/${POSTMASTER_FILE}" ] || ipcrm -m "$(sed -n '7s/.* //p' "$1/${POSTMASTER_FILE}")"
[ -z "$5" ] || docker rm -f -v "$5"
rm -rf "$1" "$4" || { sleep 1; rm -rf "$1" "$4"; }
`;

/** A temporary directory that vanishes, with the server in it, when this process does. */
export interface Guard extends AsyncDisposable {
  readonly directory: string;
}

export interface GuardOptions {
  /** Begins the directory's name. */
  readonly prefix: string;
  /** Ends the server at once, and whatever it started. */
  readonly signal: 'QUIT' | 'KILL';
  /** Who shall own the directory. */
  readonly owner?: SystemUser | undefined;
  /** Live as long as the process with this pid, instead of as long as this one. */
  readonly livesWith?: number | undefined;
  /** A file that goes with the directory. */
  readonly record?: string | undefined;
  /** A container that goes with the directory. */
  readonly container?: string | undefined;
}

export async function guardedDirectory(options: GuardOptions): Promise<Guard> {
  const { prefix, signal, owner, livesWith = '', record = '', container = '' } = options;
  const directory = await mkdtemp(join(await scratchDirectory(), prefix));
  // Its own session: Ctrl-C on the terminal must not end the guard before its server.
  const guard = spawn(
    '/bin/sh',
    ['-c', SCRIPT, 'aiokit-guard', directory, signal, String(livesWith), record, container],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  await once(guard, 'spawn');
  if (owner) await chown(directory, owner.uid, owner.gid);
  letGo(guard);
  return { directory, [Symbol.asyncDispose]: () => close(guard) };
}

async function close(guard: ChildProcess): Promise<void> {
  if (guard.exitCode !== null || guard.signalCode !== null) return;
  guard.ref();
  const exited = once(guard, 'exit');
  guard.stdin?.destroy();
  await exited;
}

/** The guard is no reason for this process to stay. */
function letGo(guard: ChildProcess): void {
  guard.unref();
  // Node's types know the pipe as a Writable; it is a socket.
  (guard.stdin as unknown as { unref(): void }).unref();
  guard.stdin?.on('error', () => {});
}
