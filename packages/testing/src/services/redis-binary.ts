import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { installAdvice } from './install-advice.ts';

/** An installed redis-server. */
export interface RedisBinary {
  readonly path: string;
  /** Such as '7.0.15'. */
  readonly version: string;
}

const PACKAGED = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

// Valkey is Redis under another name: same protocol, same arguments.
const NAMES = ['redis-server', 'valkey-server'];

/** The redis-server on the PATH, or where packages put it. */
export async function findRedisBinary(): Promise<RedisBinary | undefined> {
  const path = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  for (const directory of [...path, ...PACKAGED]) {
    for (const name of NAMES) {
      const binary = await binaryAt(join(directory, name));
      if (binary) return binary;
    }
  }
  return undefined;
}

/** The same where nothing else will do. */
export async function installedRedis(): Promise<RedisBinary> {
  const binary = await findRedisBinary();
  if (!binary) throw new Error(`No redis-server was found on this machine. ${installAdvice('redis')}`);
  return binary;
}

async function binaryAt(path: string): Promise<RedisBinary | undefined> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await promisify(execFile)(path, ['--version']);
    const version = /v=(\S+)/.exec(stdout)?.[1];
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined;
  }
}
