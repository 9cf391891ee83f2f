/** A job in words. */
import { inspect } from 'node:util';
import type { Job } from './job.ts';
import type { Trigger } from './plan.ts';
import type { AtTime } from './time/at-time.ts';
import type { Zone } from './time/zone.ts';

/** When it runs. Also what a fleet compares: the same rule is the same text on every machine. */
export function ruleOf(job: Job, trigger: Trigger, zone: Zone): string {
  const { interval, latest, unit, startDay, atTime } = job;
  if (trigger.kind !== 'every') return otherRuleOf(trigger, zone);
  const count = latest === null ? `${interval}` : `${interval} to ${latest}`;
  const step = startDay ?? (count === '1' ? (unit ?? '?').replace(/s$/, '') : `${count} ${unit ?? '?'}`);
  const at = atTime === null ? '' : ` at ${atTime}`;
  return `Every ${step}${at}${unit === 'days' || unit === 'weeks' ? ` (${zone.id})` : ''}`;
}

/** @see https://schedule.readthedocs.io/en/stable/timezones.html, whose form it has */
export function textOf(job: Job, trigger: Trigger): string {
  return `${when(job, trigger)} do ${callOf(job)} (last run: ${local(job.lastRun)}, next run: ${local(job.nextRun)})`;
}

function when({ interval, latest, unit, startDay, time }: Job, trigger: Trigger): string {
  if (trigger.kind !== 'every') return otherRuleOf(trigger);
  const count = latest === null ? `${interval}` : `${interval} to ${latest}`;
  const units = unit ?? 'None';
  const step = startDay ?? `${count} ${interval === 1 && latest === null ? units.replace(/s$/, '') : units}`;
  return `Every ${step}${time === null ? '' : ` at ${digits(time)}`}`;
}

function otherRuleOf(trigger: Exclude<Trigger, { kind: 'every' }>, zone?: Zone): string {
  switch (trigger.kind) {
    case 'cron':
      return `Cron ${trigger.text}${zone === undefined ? '' : ` (${zone.id})`}`;
    case 'once':
      return `Once at ${new Date(trigger.at).toISOString()}`;
    case 'interval':
      return `Every ${trigger.ms} ms`;
  }
}

function callOf({ call, name, args }: Job): string {
  if (call === null) return '[None]';
  return `${name}(${args.map((arg) => inspect(arg, { depth: 1, breakLength: Infinity })).join(', ')})`;
}

function digits({ hour, minute, second }: AtTime): string {
  return [hour, minute, second].map((part) => String(part).padStart(2, '0')).join(':');
}

function local(date: Date | null): string {
  if (date === null) return '[never]';
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0'));
  const time = { hour: date.getHours(), minute: date.getMinutes(), second: date.getSeconds() };
  return `${day.join('-')} ${digits(time)}`;
}
