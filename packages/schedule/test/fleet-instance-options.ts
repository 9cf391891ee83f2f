import type { EngineName } from './fleet-engines.ts';

export interface InstanceOptions {
  engine: EngineName;
  url: string;
  /** Ms between two occurrences, by the name of the job. */
  jobs: Record<string, number>;
  /** How long a run takes, in ms. */
  work: number;
  /** How wrong its clock is, in ms. */
  skew: number;
  lockDuration: number;
  queue?: string;
  misfire?: 'once' | 'all';
  /** At which step it dies by SIGKILL: when it asks this of the engine for the third time, before that or after. */
  dieAt?: Step;
  /**
   * Dies by SIGKILL as soon as a run is over for the engine, too. Whatever it puts in once it has begun, it puts in 300 ms
   * later: if the run did not wait for that, its successor would never be there.
   */
  dieWhenOver?: boolean;
}

/** A request to the engine; `verdict`: its answer to what it was handed. */
export const CALLS = ['declare', 'uphold', 'enqueue', 'state', 'enter', 'leave', 'verdict'] as const;
export type Step = `${'before' | 'after'} ${(typeof CALLS)[number]}`;
