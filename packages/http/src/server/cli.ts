#!/usr/bin/env node
/** `npx @aiokit/http serve app.ts`: serves what a module exports by default, in one process or several. */
import cluster from 'node:cluster';
import { existsSync, watch } from 'node:fs';
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
  --reload           starts anew when a source file (js, ts) beside FILE, or below, changes
`;

/** Not all files: a log or a database beside them would start it anew for ever. */
const SOURCES = /\.[cm]?[jt]sx?$/;

/** Longer than a server takes to close by its defaults, in ms. */
const PATIENCE = 45_000;

/** Editors write a file in several steps, in ms. */
const SETTLING = 100;

const { values, positionals } = parse();
const [command, file, ...rest] = positionals;
const port = wholeNumber('port', 8000, 0, 65_535);
const workers = wholeNumber('workers', 1, 1);
if (values.help) {
  console.log(USAGE);
} else if (command !== 'serve' || file === undefined || rest.length > 0) {
  fail('Expected: serve FILE');
} else if (!existsSync(file)) {
  fail(`There is no file ${resolve(file)}`);
} else if (cluster.isPrimary && (workers > 1 || values.reload)) {
  supervise(resolve(file), workers, values.reload === true);
} else {
  run(resolve(file)).catch((error) => {
    // These say what to do: where they come from does not matter.
    console.error(/^E(ADDR|ACCES)/.test(error?.code) ? error.message : error);
    process.exitCode = 1;
    cluster.worker?.disconnect();
  });
}

async function run(path: string): Promise<void> {
  const { default: app } = (await import(pathToFileURL(path).href)) as { default?: FetchApp };
  if (app === undefined) throw new TypeError(`${path} has no default export: export default app`);
  const server = await serve(app, { port, host: values.host });
  if (cluster.isPrimary) log(`listens on ${server.url}`);
}

function supervise(path: string, count: number, reload: boolean): void {
  const supervisor = new Supervisor({ workers: count, patience: PATIENCE, log });
  if (reload) {
    let timer: NodeJS.Timeout | undefined;
    watch(dirname(path), { recursive: true }, (_, name) => {
      if (name === null || !SOURCES.test(name) || /(^|[\\/])node_modules[\\/]/.test(name)) return;
      clearTimeout(timer);
      timer = setTimeout(() => supervisor.restart(`${name} has changed`), SETTLING);
    });
  }
  const close = () => supervisor.stop('a signal came');
  closeOnSignals({ close }, () => supervisor.kill());
  supervisor.start().catch(({ message }: Error) => {
    log(reload ? `${message}; waiting for a change` : message);
    if (!reload) process.exitCode = 1;
  });
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

function wholeNumber(option: 'port' | 'workers', byDefault: number, min: number, max = Infinity): number {
  const text = values[option];
  if (text === undefined) return byDefault;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  return fail(`--${option} must be a whole number ${range}, got ${JSON.stringify(text)}`);
}

function fail(message: string): never {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

function log(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`);
}
