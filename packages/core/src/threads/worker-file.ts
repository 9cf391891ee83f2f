/** What workers run. The build keeps the layout: sources lie beside it, bundled chunks one folder above. */
export const WORKER_FILE = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './threads/worker.js',
  import.meta.url,
);
