/** The errors of this package, as `schedule` names them. */

/** The base of what goes wrong with a schedule itself, never with a job's own work. */
export class ScheduleError extends Error {
  override name = 'ScheduleError';
  readonly code: string = 'ERR_SCHEDULE';
}

/** A schedule that makes no sense: a wrong time format, a unit where none fits, settings that contradict each other. */
export class ScheduleValueError extends ScheduleError {
  override name = 'ScheduleValueError';
  override readonly code: string = 'ERR_SCHEDULE_VALUE';
}

/** An interval that its unit cannot have: `every(2).monday`, `every(2).second`. */
export class IntervalError extends ScheduleValueError {
  override name = 'IntervalError';
  override readonly code = 'ERR_SCHEDULE_INTERVAL';
}
