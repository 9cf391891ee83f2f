/** The wall clock steps, and the machine sleeps. */
import { type Clock, type ClockTimer, getRunningLoop, run } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { ClockWatch } from '../src/clock-watch.ts';
import { type ClockStep, Scheduler } from '../src/index.ts';

const START = Date.parse('2026-01-01T12:00:00Z');

/** A machine whose two clocks are moved by hand. */
class Machine implements Clock {
  readonly real = true;
  private time: number;
  private wallOffset = START;
  private timers: { when: number; callback: () => void }[] = [];

  constructor(time = 0) {
    this.time = time;
  }

  now(): number {
    return this.time;
  }

  wallTime(): number {
    return Math.floor(this.time + this.wallOffset);
  }

  setTimer(when: number, callback: () => void): ClockTimer {
    const timer = { when, callback };
    this.timers.push(timer);
    const handle: ClockTimer = {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
      unref: () => handle,
    };
    return handle;
  }

  /** Somebody sets the clock; or the machine sleeps, during which no timer moves. */
  step(by: number): void {
    this.wallOffset += by;
  }

  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      await turn();
      const next = this.timers.filter(({ when }) => when <= end).sort((a, b) => a.when - b.when)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.when);
      next.callback();
    }
    this.time = end;
    await turn();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const minute = 60_000;

async function onMachine(
  declare: (
    scheduler: Scheduler,
    note: (context: { scheduledFor: Date; lateBy: number; missedCount: number }) => void,
  ) => void,
  body: (machine: Machine, runs: string[], steps: number[]) => Promise<void>,
): Promise<void> {
  const machine = new Machine();
  const steps: number[] = [];
  const runs: string[] = [];
  await run(
    async () => {
      const onClockStep = ({ by }: ClockStep) => void steps.push(by);
      const scheduler = new Scheduler({ timeZone: 'UTC', onClockStep });
      declare(scheduler, ({ scheduledFor, lateBy, missedCount }) =>
        runs.push(`${scheduledFor.toISOString().slice(11, 19)}+${lateBy} missed ${missedCount}`),
      );
      scheduler.start();
      await body(machine, runs, steps);
      void scheduler.stop();
    },
    { clock: machine },
  );
}

describe('a step of the clock', () => {
  it('forward, as after a sleep of the machine, is told, and what was due meanwhile is a misfire', async () => {
    await onMachine(
      (scheduler, note) => scheduler.every(10).minutes.do(note),
      async (machine, runs, steps) => {
        await machine.pass(11 * minute);
        machine.step(8 * 60 * minute);
        await machine.pass(10_000);
        expect(steps).toEqual([8 * 60 * minute]);
        expect(runs).toEqual(['12:10:00+0 missed 0', '20:10:00+65000 missed 47']);
        await machine.pass(10 * minute);
        expect(runs.at(-1)).toBe('20:20:00+0 missed 0');
      },
    );
  });

  it('back does not make what counts elapsed time wait until the wall has caught up', async () => {
    await onMachine(
      (scheduler, note) => scheduler.every(10).minutes.do(note),
      async (machine, runs, steps) => {
        await machine.pass(11 * minute);
        machine.step(-3 * 60 * minute);
        await machine.pass(30 * minute);
        expect(steps).toEqual([-3 * 60 * minute]);
        expect(runs).toEqual(['12:10:00+0', '09:20:00+0', '09:30:00+0', '09:40:00+0'].map((run) => `${run} missed 0`));
      },
    );
  });

  it('back does not bring a time of day a second time', async () => {
    await onMachine(
      (scheduler, note) => scheduler.every().day.at('12:10').do(note),
      async (machine, runs) => {
        await machine.pass(15 * minute);
        machine.step(-10 * minute);
        await machine.pass(60 * minute);
        expect(runs).toEqual(['12:10:00+0 missed 0']);
      },
    );
  });

  it('is survived by all jobs of that moment, even if onClockStep throws', async () => {
    const machine = new Machine();
    const runs: string[] = [];
    const told: string[] = [];
    await run(
      async () => {
        getRunningLoop().setExceptionHandler(({ message }) => told.push(message));
        const onClockStep = () => {
          throw new Error('boom');
        };
        const scheduler = new Scheduler({ timeZone: 'UTC', onClockStep });
        for (const name of ['a', 'b', 'c']) scheduler.every(1, { name }).hours.do(() => runs.push(name));
        scheduler.start();
        await machine.pass(minute);
        machine.step(59 * minute);
        await machine.pass(minute);
        void scheduler.stop();
      },
      { clock: machine },
    );
    expect(told).toEqual(['onClockStep failed']);
    expect(runs).toEqual(['a', 'b', 'c']);
  });

  it('small ones are the work of NTP, and nobody is told', async () => {
    await onMachine(
      (scheduler, note) => scheduler.every(10).minutes.do(note),
      async (machine, runs, steps) => {
        for (const by of [400, -300, -400]) {
          machine.step(by);
          await machine.pass(10 * minute);
        }
        expect(steps).toEqual([]);
        expect(runs.map((run) => run.slice(0, 8))).toEqual(['12:10:00', '12:20:00']);
      },
    );
  });
});

describe('a wall clock that shows whole ms', () => {
  it('is known better the more often one looks, and a timer is set for the very moment', async () => {
    const machine = new Machine(0.4);
    await run(
      async () => {
        const watch = new ClockWatch(getRunningLoop(), () => {});
        const at = START + 1_000;
        expect(watch.timeOf(at)).toBeCloseTo(1_000.4);
        for (const ms of [0.3, 0.4, 5.3]) {
          await machine.pass(ms);
          watch.check();
        }
        expect(watch.timeOf(at)).toBeCloseTo(1_000.1);
        // Early, since the wall clock was slowed down: the rest, and another measure from now on.
        machine.step(-5);
        await machine.pass(993.8);
        expect(watch.timeOf(at) - machine.now()).toBeCloseTo(5);
        watch.check();
        expect(watch.timeOf(at) - machine.now()).toBeCloseTo(5);
        // What has passed is due now.
        expect(watch.timeOf(START)).toBe(machine.now());
        watch.stop();
      },
      { clock: machine },
    );
  });
});
