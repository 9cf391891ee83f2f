import { writeFile } from 'node:fs/promises';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { type Certificate, createCertificate } from './certificate.ts';
import { startContainer } from './docker.ts';
import { type Guard, guardedDirectory } from './guard.ts';
import { OwnServer, type RunningProgram, startOnFreePort } from './own-server.ts';
import type { RedisServer, RedisSettings } from './redis.ts';
import type { RedisBinary } from './redis-binary.ts';
import { type RedisDatabase, redisPrefix, reserveDatabase } from './redis-database.ts';
import type { SharedLife } from './shared-server.ts';

// Nothing is written to disk unless the test asks for it (`appendonly`), and there are databases enough for every test of a run.
const THROW_AWAY: RedisSettings = { save: '""', appendonly: 'no', databases: 1024, bind: '127.0.0.1' };

const DOCKER_VERSION = '8';

export interface OwnRedisOptions {
  readonly settings?: RedisSettings | undefined;
  readonly tls?: boolean | undefined;
  readonly sentinel?: boolean | undefined;
  readonly life?: SharedLife | undefined;
}

/** Starts a server from an installed program. */
export async function startRedis(binary: RedisBinary, options: OwnRedisOptions): Promise<RedisServer> {
  const guard = await guardedDirectory({ prefix: 'aiokit-redis-', signal: 'KILL', ...options.life });
  const { directory } = guard;
  const socket = join(directory, 'redis.sock');
  try {
    const certificate = options.tls ? await createCertificate(directory) : undefined;
    const settings = { ...THROW_AWAY, ...paths(guard, socket, certificate), ...options.settings };
    const file = join(directory, 'redis.conf');
    await writeFile(file, configuration(settings));
    const running = await startOnFreePort(guard, (port) => ({
      name: `Redis ${binary.version}`,
      command: binary.path,
      args: [
        file,
        ...(certificate ? ['--port', '0', '--tls-port'] : ['--port']),
        String(port),
        ...(options.sentinel ? ['--sentinel'] : []),
      ],
      directory,
      stopSignal: 'SIGTERM',
      isReady: () => isReady({ path: socket }),
    }));
    return new OwnRedis(running, { version: binary.version, socket, certificate, password: passwordIn(settings) });
  } catch (error) {
    await guard[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts a server in a container. */
export async function startRedisContainer({ settings, life }: OwnRedisOptions): Promise<RedisServer> {
  const all = { ...THROW_AWAY, bind: '*', 'protected-mode': 'no', ...settings };
  const running = await startContainer({
    image: `redis:${DOCKER_VERSION}-alpine`,
    port: 6379,
    args: ['sh', '-c', `echo "$0" | redis-server -`, configuration(all)],
    life,
    isReady: (port) => isReady({ port }),
  });
  return new OwnRedis(running, { version: DOCKER_VERSION, password: passwordIn(all) });
}

interface Details {
  readonly version: string;
  readonly socket?: string;
  readonly certificate?: Certificate | undefined;
  readonly password: string | undefined;
}

class OwnRedis extends OwnServer implements RedisServer {
  readonly url: string;
  readonly version: string;
  readonly ca: string | undefined;
  readonly #socket: string | undefined;

  constructor(running: RunningProgram, { version, socket, certificate, password }: Details) {
    super(running);
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    this.url = `${certificate ? 'rediss' : 'redis'}://${login}${this.host}:${this.port}/0`;
    this.version = version;
    this.ca = certificate?.ca;
    this.#socket = socket;
  }

  get socket(): string {
    if (this.#socket === undefined) throw new Error('socket: a Redis in a container has no unix socket here.');
    return this.#socket;
  }

  async database(): Promise<RedisDatabase> {
    const database = await reserveDatabase(this.url, this.ca);
    const giveBack = async () => {
      if (this.running) await database[Symbol.asyncDispose]();
    };
    return { ...database, [Symbol.asyncDispose]: giveBack };
  }

  prefix(): string {
    return redisPrefix();
  }
}

/**
 * Whether it answers: also "NOAUTH", but not "LOADING". By its unix socket, which is ours alone: on the port somebody else
 * may have been quicker. One word of the protocol is enough, so no client library is needed to start a server.
 */
async function isReady(address: NetConnectOpts): Promise<boolean> {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      resolve(data.toString('latin1'));
      socket.destroy();
    });
    socket.once('error', () => resolve(''));
    socket.once('close', () => resolve(''));
  });
  return answer !== '' && !answer.startsWith('-LOADING');
}

function paths(guard: Guard, socket: string, certificate: Certificate | undefined): RedisSettings {
  const always = { dir: quoted(guard.directory), unixsocket: quoted(socket) };
  if (!certificate) return always;
  const [cert, key] = [quoted(certificate.certFile), quoted(certificate.keyFile)];
  return {
    ...always,
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': cert,
    'tls-auth-clients': 'no',
    'tls-replication': 'yes',
    'tls-cluster': 'yes',
  };
}

/** A list gives the same directive several times. */
function configuration(settings: RedisSettings): string {
  const lines = Object.entries(settings).flatMap(([name, value]) => [value].flat().map((each) => `${name} ${each}`));
  return `${lines.join('\n')}\n`;
}

function passwordIn({ requirepass }: RedisSettings): string | undefined {
  return requirepass === undefined ? undefined : String(requirepass);
}

function quoted(path: string): string {
  return `"${path}"`;
}
