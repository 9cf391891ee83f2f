#!/usr/bin/env node
/** `npx @aiokit/http serve app.ts`: serves what a module exports by default, in one process or several. */
import cluster from 'node:cluster';
import { watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { FetchApp } from './app.ts';
import { serve } from './serve.ts';
import { closeOnSignals } from './signals.ts';
import { Supervisor } from './supervisor.ts';

const USAGE = `Usage: npx @aiokit/http serve FILE [options]

  FILE               a module whose default export is an app: hono, or (Request) => Response
  --port NUMBER      default 8000; 0 takes a free one
  --host ADDRESS     default 127.0.0.1; 0.0.0.0 for all addresses
  --workers NUMBER   processes; default 1
  --reload           starts anew when a file beside FILE, or below, changes
`;

/** Editors write a file in several steps, in ms. */
const SETTLING = 100;

const { values, positionals } = parse();
const [command, file] = positionals;
const workers = Number(values.workers ?? 1);
if (values.help) {
  console.log(USAGE);
} else if (command !== 'serve' || file === undefined || !Number.isInteger(workers) || workers < 1) {
  fail('Expected: serve FILE, with a whole number of --workers.');
} else if (cluster.isPrimary && (workers > 1 || values.reload)) {
  supervise(resolve(file), workers, values.reload === true);
} else {
  run(resolve(file)).catch((error) => {
    console.error(error);
    process.exitCode = 1;
    cluster.worker?.disconnect();
  });
}

async function run(path: string): Promise<void> {
  const { default: app } = (await import(pathToFileURL(path).href)) as { default: FetchApp };
  const server = await serve(app, { port: Number(values.port ?? 8000), host: values.host });
  if (cluster.isPrimary) log(`listens on ${server.url}`);
}

function supervise(path: string, count: number, reload: boolean): void {
  const supervisor = new Supervisor({ workers: count, log });
  if (reload) {
    let timer: NodeJS.Timeout | undefined;
    watch(dirname(path), { recursive: true }, (_, name) => {
      if (name === null || /(^|[\\/])(node_modules|\.git)([\\/]|$)/.test(name)) return;
      clearTimeout(timer);
      timer = setTimeout(() => supervisor.restart(`${name} has changed`), SETTLING);
    });
  }
  const close = () => supervisor.stop('a signal came');
  closeOnSignals({ close }, () => supervisor.kill());
  supervisor.start();
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        workers: { type: 'string' },
        reload: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function log(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`);
}
