/** Starts so many servers at once. If one fails, those that came up are ended. */
export async function startAll<T extends AsyncDisposable>(
  count: number,
  start: (index: number) => Promise<T>,
): Promise<T[]> {
  const results = await Promise.allSettled(Array.from({ length: count }, (_, index) => start(index)));
  const started = results.filter((result) => result.status === 'fulfilled').map((result) => result.value);
  const failed = results.find((result) => result.status === 'rejected');
  if (!failed) return started;
  await stopAll(started);
  throw failed.reason;
}

export async function stopAll(servers: readonly AsyncDisposable[]): Promise<void> {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
}
