/** A copy of core that speaks another protocol is loaded first. */
(globalThis as Record<symbol, unknown>)[Symbol.for('aiokit.core')] = { protocol: 999 };
try {
  await import('@aiokit/core');
} catch (error) {
  console.log((error as Error).message);
}
