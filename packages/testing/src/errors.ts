/** Every error class of this package. Each has a stable `name` and `code`. */

/** A test took too long on the real clock, whatever time its virtual clock shows. */
export class TestTimeoutError extends Error {
  override readonly name = 'TestTimeoutError';
  readonly code = 'ERR_TEST_TIMEOUT';
}

/** An operation was in flight for so long that virtual time could not go on. */
export class OperationStalledError extends Error {
  override readonly name = 'OperationStalledError';
  readonly code = 'ERR_OPERATION_STALLED';
}

/** A test left something behind: tasks, timers, connections, or failures that nobody took. */
export class LeakError extends Error {
  override readonly name = 'LeakError';
  readonly code = 'ERR_TEST_LEAK';
}

/** A step of a task held the process for long without yielding. */
export class StuckStepError extends Error {
  override readonly name = 'StuckStepError';
  readonly code = 'ERR_STEP_STUCK';
}

/** A test failed in one of the orders that `explore()` tried. */
export class ExplorationError extends Error {
  override readonly name = 'ExplorationError';
  readonly code = 'ERR_EXPLORATION';
  /** Which run it was, with its seed. */
  readonly seed: string;
  /** The order, for `explore(body, { replay })`. */
  readonly replay: string;

  constructor(message: string, options: { seed: string; replay: string; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.seed = options.seed;
    this.replay = options.replay;
  }
}
