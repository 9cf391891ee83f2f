/**
 * Returned by a job, as the class or as an instance, to take it off the schedule.
 *
 * @example
 * ```ts
 * every().day.at('22:30').do(async () => {
 *   await sendReminder();
 *   return CancelJob; // once is enough
 * });
 * ```
 *
 * @see https://schedule.readthedocs.io/en/stable/reference.html#schedule.CancelJob
 */
// biome-ignore lint/complexity/noStaticOnlyClass: it is the value itself, as in `schedule`.
export class CancelJob {
  /** Whether a job's return value asks for it. */
  static is(value: unknown): boolean {
    return value === CancelJob || value instanceof CancelJob;
  }
}
