import { Cron } from 'croner';
import { shown } from '../check.ts';
import { ScheduleValueError } from '../errors.ts';
import type { WallPattern } from './wall-recurrence.ts';

/** A cron expression over wall time. The parsing and the calendar are croner's. */
export class CronPattern implements WallPattern {
  /** Whether it goes on through the hours (`*` or a step there), instead of naming them. */
  readonly isEveryHour: boolean;
  private readonly cron: Cron;
  /** croner takes 0.1 ms for an answer, and jobs that share an expression ask for the same one at the same time. */
  private last: { asked: number; answer: number | null } = { asked: Infinity, answer: null };

  /** A parsed expression takes some 40 kB, and has no state: jobs share it. */
  static of(pattern: unknown): CronPattern {
    if (typeof pattern !== 'string') throw new TypeError(`pattern must be a cron expression, got ${shown(pattern)}`);
    const known = parsed.get(pattern);
    if (known !== undefined) return known;
    const made = new CronPattern(pattern);
    if (parsed.size >= MOST_KEPT) parsed.clear();
    parsed.set(pattern, made);
    return made;
  }

  constructor(pattern: string) {
    try {
      this.cron = new Cron(pattern, { timezone: 'UTC', paused: true });
    } catch (cause) {
      const what = `pattern must be a cron expression ([second] minute hour day month weekday), got ${shown(pattern)}`;
      throw new ScheduleValueError(`${what}: ${(cause as Error).message.replace(/^CronPattern: /, '')}`, { cause });
    }
    const fields = pattern.trim().split(/\s+/);
    const hour = fields.length === 1 ? (pattern.trim() === '@hourly' ? '*' : '0') : fields[fields.length > 5 ? 2 : 1];
    this.isEveryHour = /[*?]/.test(hour as string);
  }

  next(wall: number): number | null {
    const { asked, answer } = this.last;
    if (wall >= asked && (answer === null || wall < answer)) return answer;
    const next = this.cron.nextRun(new Date(wall))?.getTime() ?? null;
    this.last = { asked: wall, answer: next };
    return next;
  }
}

const parsed = new Map<string, CronPattern>();
const MOST_KEPT = 1_000;
