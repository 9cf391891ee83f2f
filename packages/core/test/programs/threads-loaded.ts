/** Whether the module of threads is loaded by the main entry, and by the first use. */
import { registerHooks } from 'node:module';

let loaded = false;
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    loaded ||= resolved.url.includes('/threads/worker-pool');
    return resolved;
  },
});
const { getRunningLoop } = await import('@aiokit/core');
console.log(`before: ${loaded}`);
await getRunningLoop().runInExecutor(null, () => 1);
console.log(`after: ${loaded}`);
