/** Hands a resource on, and closes it when the block ends. */
export type Defer = <R extends AsyncDisposable | (() => unknown)>(resource: R) => R;

/**
 * Runs `body`; whatever it has handed to `defer` is then closed, the last one first, however it ended. What `await using`
 * does, also on Node 22.
 */
export async function closing<T>(body: (defer: Defer) => Promise<T>): Promise<T> {
  const opened: (AsyncDisposable | (() => unknown))[] = [];
  try {
    return await body((resource) => {
      opened.push(resource);
      return resource;
    });
  } finally {
    for (const resource of opened.reverse()) {
      await (typeof resource === 'function' ? resource() : resource[Symbol.asyncDispose]());
    }
  }
}
