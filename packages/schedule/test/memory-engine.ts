/**
 * An engine in memory, on the loop's clock: so a fleet runs in virtual time, and the order in which occurrences are handed
 * out, and who dies of which, is up to the test. What is special about real ones is seen in fleet.test.ts.
 */
import { detached, getRunningLoop } from '@aiokit/core';
import {
  type Backend,
  type Board,
  type Engine,
  type Entered,
  idOf,
  type Occurrence,
  RETIRED,
  type SharedState,
  type Take,
} from '../src/fleet/engine.ts';

export interface Entry {
  readonly id: string;
  readonly occurrence: Occurrence;
  state: 'waiting' | 'active' | 'over';
  notBefore: number;
  redeliveries: number;
  holder: MemoryEngine | null;
  lost: AbortController;
}

interface Row {
  rule: string | null;
  upheld: number;
  missed: number;
  cancels: number;
  cancelReason: string;
  line: number[];
  told: Map<number, number>;
}

export class MemoryServer implements Backend, Board {
  readonly entries = new Map<string, Entry>();
  readonly engines: MemoryEngine[] = [];
  private readonly rows = new Map<string, Row>();
  private turn = 0;

  requireKept(): void {}

  connect(): Engine {
    const engine = new MemoryEngine(this);
    this.engines.push(engine);
    return engine;
  }

  empty(): void {
    this.entries.clear();
    this.rows.clear();
  }

  /** As if the process had been killed. What it held goes on being held, until `expire()`. */
  kill(engine: MemoryEngine): Entry[] {
    engine.isAlive = false;
    return [...this.entries.values()].filter((entry) => entry.holder === engine && entry.state === 'active');
  }

  /** The lock has run out: it is nobody's, and waits for `release()`. */
  expire(entry: Entry): void {
    entry.lost.abort();
    Object.assign(entry, { state: 'waiting', holder: null, notBefore: Infinity, redeliveries: entry.redeliveries + 1 });
  }

  /** Hands it to somebody. */
  release(entry: Entry): void {
    detached(() => this.handOut(entry));
  }

  holderOf(job: string): MemoryEngine | null {
    return [...this.entries.values()].find((e) => e.occurrence.job === job && e.state === 'active')?.holder ?? null;
  }

  add(occurrence: Occurrence): void {
    const id = idOf(occurrence);
    if (this.entries.has(id)) return;
    const entry: Entry = {
      id,
      occurrence,
      state: 'waiting',
      notBefore: occurrence.at,
      redeliveries: 0,
      holder: null,
      lost: new AbortController(),
    };
    this.entries.set(id, entry);
    this.handOutLater(entry);
  }

  known(job: string, times: readonly number[]): Map<number, 'open' | 'over'> {
    return new Map(
      times.flatMap((at) => {
        const entry = this.entries.get(idOf({ job, at }));
        return entry === undefined ? [] : [[at, entry.state === 'over' ? 'over' : 'open'] as const];
      }),
    );
  }

  async declare(job: string, rule: string): Promise<void> {
    const row = this.row(job);
    if (row.rule !== RETIRED + rule) Object.assign(row, { rule, upheld: wallTime() });
  }

  async uphold(job: string, rule: string, keptFor: number): Promise<SharedState> {
    const row = this.row(job);
    const isNobodys = row.rule !== RETIRED + rule && wallTime() - row.upheld > keptFor;
    if (row.rule === rule || isNobodys) Object.assign(row, { rule, upheld: wallTime() });
    return stateOf(row);
  }

  async retire(job: string, rule: string): Promise<void> {
    const row = this.row(job);
    if (row.rule === rule) row.rule = RETIRED + rule;
  }

  async state(job: string): Promise<SharedState> {
    return stateOf(this.row(job));
  }

  async addMissed(job: string, count: number): Promise<void> {
    this.row(job).missed += count;
  }

  async enter(job: string, at: number): Promise<Entered> {
    const row = this.row(job);
    if (!row.line.includes(at)) {
      row.line.push(at);
      row.told.set(at, row.missed);
      row.missed = 0;
    }
    return { line: [...row.line], missed: row.told.get(at) as number };
  }

  async leave(job: string, times: readonly number[]): Promise<void> {
    const row = this.row(job);
    row.line = row.line.filter((at) => !times.includes(at));
    for (const at of times) row.told.delete(at);
  }

  async requestCancel(job: string, reason: string): Promise<number> {
    this.row(job).cancelReason = reason;
    return ++this.row(job).cancels;
  }

  async now(): Promise<number> {
    return wallTime();
  }

  private row(job: string): Row {
    const row = this.rows.get(job) ?? newRow();
    this.rows.set(job, row);
    return row;
  }

  private handOutLater(entry: Entry): void {
    const wait = Math.max(0, entry.notBefore - wallTime());
    detached(() => getRunningLoop().callLater(wait, () => this.handOut(entry)));
  }

  handOutWhatIsDue(): void {
    for (const entry of this.entries.values()) if (entry.notBefore <= wallTime()) this.release(entry);
  }

  private handOut(entry: Entry): void {
    if (entry.state !== 'waiting' || this.entries.get(entry.id) !== entry) return;
    const open = this.engines.filter((engine) => engine.isOpen && engine.isAlive);
    const engine = open[this.turn++ % open.length];
    if (engine === undefined) return; // Until one opens.
    Object.assign(entry, { state: 'active', holder: engine, lost: new AbortController() });
    const { id, occurrence, redeliveries, lost } = entry;
    void detached(async () => {
      const verdict = await engine.take({ ...occurrence, id, redeliveries, lost: lost.signal });
      if (entry.holder !== engine) return; // It has died, and nobody hears of it.
      if (verdict === 'finished') entry.state = 'over';
      else this.handBack(entry);
    });
  }

  private handBack(entry: Entry): void {
    Object.assign(entry, { state: 'waiting', holder: null, notBefore: wallTime() + 1_000 });
    this.handOutLater(entry);
  }
}

export class MemoryEngine implements Engine {
  readonly board: MemoryServer;
  isOpen = false;
  isAlive = true;
  take: Take = async () => 'giveBack';

  constructor(server: MemoryServer) {
    this.board = server;
  }

  async open(take: Take): Promise<void> {
    this.take = take;
    this.isOpen = true;
    this.board.handOutWhatIsDue();
  }

  async enqueue(occurrences: readonly Occurrence[]): Promise<void> {
    if (!this.isAlive) return;
    for (const occurrence of occurrences) this.board.add(occurrence);
  }

  async known(job: string, times: readonly number[]): Promise<Map<number, 'open' | 'over'>> {
    return this.board.known(job, times);
  }

  pause(): void {
    this.isOpen = false;
  }

  async close(): Promise<void> {}
}

function newRow(): Row {
  return { rule: null, upheld: 0, missed: 0, cancels: 0, cancelReason: '', line: [], told: new Map() };
}

function stateOf({ line, ...row }: Row): SharedState {
  return { ...row, line: [...line] };
}

function wallTime(): number {
  return getRunningLoop().clock.wallTime();
}
