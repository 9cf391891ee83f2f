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
}

/** A request to the engine; `verdict`: its answer to what it was handed. */
export const CALLS = ['declare', 'uphold', 'enqueue', 'takeMissed', 'enter', 'leave', 'verdict'] as const;
export type Step = `${'before' | 'after'} ${(typeof CALLS)[number]}`;
