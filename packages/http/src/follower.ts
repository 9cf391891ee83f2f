/** Makes a controller follow a user's signal without holding on to it, or being held, for longer than the work lasts. */
export interface Follower {
  stop(): void;
}

/**
 * `AbortSignal.any` would do the same and leak on a long-lived signal (https://github.com/nodejs/node/issues/54614). The
 * listener knows the controller weakly, and is removed when the work ends or, at the latest, when the controller is collected.
 */
export function follow(signal: AbortSignal, controller: AbortController): Follower {
  if (signal.aborted) controller.abort(signal.reason);
  const ref = new WeakRef(controller);
  const listener = () => ref.deref()?.abort(signal.reason);
  const follower = { stop: () => signal.removeEventListener('abort', listener) };
  signal.addEventListener('abort', listener, { once: true });
  collected.register(controller, follower.stop);
  return follower;
}

const collected = new FinalizationRegistry<() => void>((stop) => stop());
