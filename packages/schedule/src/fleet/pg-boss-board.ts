import { type Board, type Entered, RETIRED, type SharedState } from './engine.ts';

type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

/** A table beside pg-boss's own, a row per job; `told` is what each in the line was given of the missed ones. */
export class PgBossBoard implements Board {
  private readonly sql: Sql;
  private readonly table: string;
  private readonly queue: string;

  constructor(sql: Sql, schema: string, queue: string) {
    this.sql = sql;
    this.table = `${schema}.aiokit_schedule`;
    this.queue = queue;
  }

  async create(): Promise<void> {
    await this.sql(`create table if not exists ${this.table} (queue text, job text, rule text,
      upheld timestamptz not null default now(), missed int not null default 0, cancels int not null default 0,
      cancel_reason text not null default '', line bigint[] not null default '{}', told jsonb not null default '{}',
      primary key (queue, job))`).catch(ignoreExisting);
  }

  async declare(job: string, rule: string): Promise<void> {
    await this.sql(
      `insert into ${this.table} (queue, job, rule) values ($1, $2, $3) on conflict (queue, job)
       do update set rule = excluded.rule, upheld = now() where ${this.table}.rule is distinct from $4`,
      [this.queue, job, rule, RETIRED + rule],
    );
  }

  async uphold(job: string, rule: string, keptFor: number): Promise<SharedState> {
    await this.sql(
      `update ${this.table} set rule = $3, upheld = now() where queue = $1 and job = $2
       and rule is distinct from $4 and upheld < now() - (case when rule = $3 then 0.1 else 1 end) * $5 * interval '1 ms'`,
      [this.queue, job, rule, RETIRED + rule, keptFor],
    );
    return await this.state(job);
  }

  async retire(job: string, rule: string): Promise<void> {
    await this.sql(`update ${this.table} set rule = $4 where queue = $1 and job = $2 and rule = $3`, [
      this.queue,
      job,
      rule,
      RETIRED + rule,
    ]);
  }

  async state(job: string): Promise<SharedState> {
    return sharedState(await this.sql(`select * from ${this.table} where queue = $1 and job = $2`, [this.queue, job]));
  }

  async addMissed(job: string, count: number): Promise<void> {
    await this.sql(
      `insert into ${this.table} as t (queue, job, missed) values ($1, $2, $3)
       on conflict (queue, job) do update set missed = t.missed + $3`,
      [this.queue, job, count],
    );
  }

  async enter(job: string, at: number): Promise<Entered> {
    const isIn = '$3 = any(t.line)';
    const [row] = await this.sql(
      `insert into ${this.table} as t (queue, job, line) values ($1, $2, array[$3::bigint]) on conflict (queue, job)
       do update set line = case when ${isIn} then t.line else t.line || $3::bigint end,
       told = case when ${isIn} or t.missed = 0 then t.told else t.told || jsonb_build_object($3::text, t.missed) end,
       missed = case when ${isIn} then t.missed else 0 end returning line, told ->> $3::text as told`,
      [this.queue, job, at],
    );
    return { line: lineOf(row), missed: Number(row?.told ?? 0) };
  }

  async leave(job: string, times: readonly number[]): Promise<void> {
    await this.sql(
      `update ${this.table} set told = told - $3::text[], line = array(select at from unnest(line) with ordinality
       as l(at, place) where at <> all($3::bigint[]) order by place) where queue = $1 and job = $2`,
      [this.queue, job, times],
    );
  }

  async requestCancel(job: string, reason: string): Promise<number> {
    const [row] = await this.sql(
      `insert into ${this.table} as t (queue, job, cancels, cancel_reason) values ($1, $2, 1, $3)
       on conflict (queue, job) do update set cancels = t.cancels + 1, cancel_reason = $3 returning cancels`,
      [this.queue, job, reason],
    );
    return Number(row?.cancels);
  }

  async now(): Promise<number> {
    const [row] = await this.sql('select extract(epoch from clock_timestamp()) * 1000 as now');
    return Number(row?.now);
  }
}

function sharedState([row]: Record<string, unknown>[]): SharedState {
  return {
    rule: (row?.rule as string | null | undefined) ?? null,
    missed: Number(row?.missed ?? 0),
    cancels: Number(row?.cancels ?? 0),
    cancelReason: String(row?.cancel_reason ?? ''),
    line: lineOf(row),
  };
}

function lineOf(row: Record<string, unknown> | undefined): number[] {
  return ((row?.line as string[] | undefined) ?? []).map(Number);
}

/** Two instances that begin at once both create it, and PostgreSQL lets one of them fail. */
function ignoreExisting(error: unknown): [] {
  if (['42P07', '23505'].includes((error as { code?: string }).code ?? '')) return [];
  throw error;
}
