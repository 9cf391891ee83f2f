/** The default export: pg's own, with our classes in it. */
import pg from 'pg';
import { Client } from './client.ts';
import { Pool } from './pool.ts';

/**
 * What `import pg from 'pg'` gives, with this package's `Pool` and `Client`. Without `pg.native`, which knows no cancel.
 *
 * @example
 * ```ts
 * const { Pool } = pg;
 * pg.types.setTypeParser(pg.types.builtins.INT8, Number);
 * ```
 */
const dropIn: Omit<typeof pg, 'Pool' | 'Client' | 'native'> & {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
} = { ...pg, Pool, Client };

export { dropIn as default };
