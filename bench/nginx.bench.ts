/**
 * A proof more than a benchmark: a private nginx between a session and an app, over HTTP/1.1 and HTTP/2, and cancels at every
 * moment. Afterwards nginx's own status has no request left, and neither have the app and the session.
 *
 *   node --conditions=@aiokit/source --expose-gc nginx.bench.ts [cancels]      (needs nginx and openssl on the PATH)
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledError, createTask, sleep, type Task } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';

const CANCELS = Number(process.argv[2] ?? 5_000);
const BATCH = 250;

function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Answers in two pieces, some of them late. */
async function startApp() {
  const open = new Set<object>();
  const server = createServer((request, response) => {
    open.add(response);
    response.on('close', () => open.delete(response));
    response.write('half');
    setTimeout(() => response.end('whole'), request.url === '/slow' ? 60_000 : 5).unref();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, open, port: (server.address() as AddressInfo).port };
}

async function startNginx(directory: string, upstream: number) {
  const [plain, secure, status] = [await freePort(), await freePort(), await freePort()];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', join(directory, 'key.pem'), '-out', join(directory, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', ...subject, ...files], {
    stdio: 'ignore',
  });
  const proxy = `location / { proxy_pass http://127.0.0.1:${upstream}; proxy_http_version 1.1; proxy_buffering off; }`;
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; pid nginx.pid; error_log error.log;
    events { worker_connections 4096; }
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind}_temp;`).join(' ')}
      server { listen 127.0.0.1:${plain}; ${proxy} }
      server { listen 127.0.0.1:${secure} ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; ${proxy} }
      server { listen 127.0.0.1:${status}; location / { stub_status; } }
    }`,
  );
  const child = spawn('nginx', ['-p', directory, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: 'inherit' });
  return { child, plain, secure, status, ca: readFileSync(join(directory, 'cert.pem'), 'utf8') };
}

/** How many connections nginx has open to clients, without the one that asks. */
async function connectionsOf(status: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${status}/`, { headers: { connection: 'close' } })).text();
  return Number(/Active connections: (\d+)/.exec(text)?.[1]) - 1;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not so within 15 s: ${what}`);
    await sleep(20);
  }
}

/** Each task at another moment: in line, connecting, waiting, reading. */
async function cancelBatch(session: ClientSession): Promise<number> {
  const tasks = Array.from({ length: BATCH }, (_, i) => {
    return createTask(() => session.get(i % 3 === 0 ? '/slow' : '/').text()) as Task<string>;
  });
  for (const [i, task] of tasks.entries()) {
    if (i % 10 === 0) await sleep(i % 20 === 0 ? 0 : 1);
    task.cancel();
  }
  let cancelled = 0;
  for (const settled of await Promise.allSettled(tasks)) {
    if (settled.status === 'fulfilled') continue;
    if (!(settled.reason instanceof CancelledError)) throw settled.reason;
    cancelled++;
  }
  return cancelled;
}

async function prove(directory: string): Promise<void> {
  const app = await startApp();
  const nginx = await startNginx(directory, app.port);
  try {
    await until('nginx answers', () =>
      connectionsOf(nginx.status).then(
        () => true,
        () => false,
      ),
    );
    for (const [protocol, baseUrl, http2] of [
      ['HTTP/1.1', `http://127.0.0.1:${nginx.plain}`, false],
      ['HTTP/2', `https://127.0.0.1:${nginx.secure}`, true],
    ] as const) {
      // nginx closes each connection after 1,000 requests, whatever comes in at that moment.
      const retry = { limit: 3, delay: 1 };
      const session = new ClientSession({ baseUrl, http2, retry, limit: 100, connection: { ca: nginx.ca } });
      await session.get('/').bytes();
      let cancelled = 0;
      while (cancelled < CANCELS) cancelled += await cancelBatch(session);
      await until('the session is idle', () => session.statistics().active === 0);
      await until('the app has no request left', () => app.open.size === 0);
      const kept = await connectionsOf(nginx.status);
      if ((await session.get('/').text()) !== 'halfwhole') throw new Error('The session does not answer any more');
      await session.close();
      await until('nginx has no connection left', async () => (await connectionsOf(nginx.status)) === 0);
      console.log(
        `  ${protocol.padEnd(9)} ${cancelled} cancels: no request left; ${kept} idle connections, 0 after close()`,
      );
    }
  } finally {
    nginx.child.kill('SIGQUIT');
    app.server.closeAllConnections();
    app.server.close();
  }
}

if (!hasNginx()) console.log('  There is no nginx on the PATH: nothing to see.');
else {
  const directory = mkdtempSync(join(tmpdir(), 'aiokit-nginx-'));
  try {
    await prove(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  process.exit();
}
