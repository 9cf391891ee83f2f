import type { Outcome } from './run.ts';

/** How a job stands: a row of `console.table(describe())`. */
export interface JobStatus {
  readonly job: string;
  /** When it runs, in words. */
  readonly rule: string;
  readonly tags: string;
  readonly nextRun: Date | null;
  readonly lastRun: Date | null;
  readonly lastOutcome: Outcome | null;
  /** How long the last run took, in whole ms. */
  readonly lastDuration: number | null;
  /** Runs that go on now. */
  readonly running: number;
  /** Occurrences that wait for a run to end. */
  readonly queued: number;
  readonly runs: number;
  readonly failures: number;
  /** Occurrences that had no run: missed, or skipped as another run went on. */
  readonly missed: number;
}
