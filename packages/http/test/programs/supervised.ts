/** The app of app.ts in two workers; each may take 500 ms to end. */
import cluster from 'node:cluster';
import { serve } from '@aiokit/http/server';
import { closeOnSignals } from '../../src/server/signals.ts';
import { Supervisor } from '../../src/server/supervisor.ts';
import app from './app.ts';

if (cluster.isPrimary) {
  const supervisor = new Supervisor({ workers: 2, patience: 500, log: (line) => console.log(line) });
  closeOnSignals({ close: () => supervisor.stop('a signal came') });
  await supervisor.start();
} else {
  await serve(app, { port: 0 });
}
