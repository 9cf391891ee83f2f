import { ScheduleValueError } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Backend } from './engine.ts';

/** Refuses what the machines of a fleet cannot agree on. */
export function requireSharable(job: Job, others: Iterable<Job>, backend: Backend): void {
  const refuse = (why: string) => {
    throw new ScheduleValueError(`${job.name} on a fleet: ${why}`);
  };
  if (job.options.name === undefined && job.name === '(anonymous)') {
    refuse("it needs a name, as in every(1, { name: 'backup' }): it is what the other instances know it by");
  }
  if ([...others].some((other) => other.name === job.name))
    refuse('there is one of that name. Give it another: { name }');
  if (job.policy.mode === 'fixedDelay') refuse('instances cannot agree on the end of a run that died. Take fixedRate');
  if (job.policy.grace === Infinity) refuse('grace must be finite, finished occurrences are kept for as long');
  backend.requireKept(job.policy.grace);
}
