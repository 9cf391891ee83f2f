/** What is known of the packages, in Postgres. */
import { type Pool, sql } from '@aiokit/pg';

/** A package.json, as far as we look at it: anything may be missing or odd. */
export interface Manifest {
  readonly name?: unknown;
  readonly version?: unknown;
  readonly license?: unknown;
  readonly licenses?: unknown;
  readonly dependencies?: unknown;
}

export interface LicenceCount {
  readonly licence: string;
  readonly packages: number;
}

export interface Dependant {
  readonly name: string;
  readonly version: string;
  readonly dependencies: number;
}

export async function createTables(pool: Pool): Promise<void> {
  await pool.query(`
    create table packages (
      name text, version text, licence text not null, dependency_count int not null,
      primary key (name, version)
    );
    create table dependencies (
      name text, version text, depends_on text, range text not null,
      primary key (name, version, depends_on),
      foreign key (name, version) references packages on delete cascade
    )`);
}

/**
 * Saves one package with its dependencies, all or nothing.
 *
 * @returns false for a package.json that describes no package, such as `{ "type": "module" }` in a folder of one
 */
export async function save(pool: Pool, manifest: Manifest): Promise<boolean> {
  const { name, version } = manifest;
  if (typeof name !== 'string' || typeof version !== 'string') return false;
  const dependencies = manifest.dependencies ?? {};
  await pool.transaction(async (transaction) => {
    await transaction.execute(sql`
      insert into packages values (${name}, ${version}, ${licenceOf(manifest)}, ${Object.keys(dependencies).length})
      on conflict (name, version) do update
      set licence = excluded.licence, dependency_count = excluded.dependency_count`);
    await transaction.execute(sql`delete from dependencies where name = ${name} and version = ${version}`);
    await transaction.execute(sql`
      insert into dependencies
      select ${name}, ${version}, * from unnest(${Object.keys(dependencies)}::text[], ${Object.values(dependencies)}::text[])`);
  });
  return true;
}

/** How many packages there are under each licence, the most common first. */
export function licences(pool: Pool): Promise<LicenceCount[]> {
  return pool.fetch(sql<LicenceCount>`
    select licence, count(*)::int as packages from packages group by licence order by packages desc, licence`);
}

/** The packages that depend on the most others. */
export function largestDependants(pool: Pool, limit: number): Promise<Dependant[]> {
  return pool.fetch(sql<Dependant>`
    select name, version, dependency_count as dependencies from packages
    order by dependencies desc, name, version limit ${limit}`);
}

function licenceOf({ license, licenses }: Manifest): string {
  const given: unknown = license ?? (Array.isArray(licenses) ? licenses[0] : undefined);
  if (typeof given === 'string') return given;
  const type = (given as { type?: unknown } | null | undefined)?.type; // as it was written before 2015
  return typeof type === 'string' ? type : 'none given';
}

/** Packages whose number of dependencies is not the one that was counted when they were saved: there must be none. */
export async function countHalfWritten(pool: Pool): Promise<number> {
  const halfWritten = await pool.fetch(sql`
    select from packages p where dependency_count <>
      (select count(*) from dependencies d where (d.name, d.version) = (p.name, p.version))`);
  return halfWritten.length;
}
