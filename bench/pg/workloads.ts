/** What the clients of PostgreSQL are measured by. */
export interface Workload {
  readonly operations: number;
  readonly text: string;
  readonly values?: (n: number) => unknown[];
}

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  'select 1': { operations: 2_000, text: 'select 1' },
  '100 rows of 10 columns': {
    operations: 400,
    text: `select ${Array.from({ length: 10 }, (_, c) => `n + ${c} as c${c}`).join(', ')} from generate_series(1, 100) n`,
  },
  insert: {
    operations: 1_500,
    text: 'insert into bench (n, t) values ($1, $2)',
    values: (n) => [n, `text ${n}`],
  },
};

export const CONCURRENCY = 50;
export const CONNECTIONS = 10;
