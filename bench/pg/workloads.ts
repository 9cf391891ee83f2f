/** What the clients of PostgreSQL are measured by. */
export interface Workload {
  readonly operations: number;
  readonly text: string;
  /** Whether each statement has the values `[n, "text n"]`. */
  readonly hasValues?: boolean;
}

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  'select 1': { operations: 3_000, text: 'select 1' },
  '100 rows of 10 columns': {
    operations: 400,
    text: `select ${Array.from({ length: 10 }, (_, c) => `n + ${c} as c${c}`).join(', ')} from generate_series(1, 100) n`,
  },
  insert: { operations: 2_000, text: 'insert into bench (n, t) values ($1, $2)', hasValues: true },
};

export const CONCURRENCY = 50;
export const CONNECTIONS = 10;
