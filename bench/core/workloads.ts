/** The work that core is measured by. Every competitor does all of it; `ops` of each is what a figure is divided by. */
export const WORKLOADS = {
  'spawn + join, 1,000 at once': 1_000,
  'spawn + join, one after another': 1_000,
  'yield, 100 tasks': 1_000,
  'cancel + join with finally': 1_000,
  'timeout scope': 1_000,
  'queue of 10, bounded': 1_000,
  'lock, 10 contenders': 1_000,
  'gather of 10': 1_000,
} as const;

export type Workload = keyof typeof WORKLOADS;

/** One competitor: each function does `WORKLOADS[name]` operations. */
export type Competitor = { readonly [W in Workload]: () => Promise<unknown> };

export const times = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
