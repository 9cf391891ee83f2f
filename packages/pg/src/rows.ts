/** Rows as the caller wants them: typed, and validated if the statement brings a schema. */
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** A row, or a value, is not what the statement's schema says. */
export class InvalidRowError extends Error {
  override readonly name = 'InvalidRowError';
  readonly code = 'ERR_INVALID_ROW';
  /** The row's place in the result, from 0. */
  readonly index: number;
  /** What the schema complains of. */
  readonly issues: readonly StandardSchemaV1.Issue[];

  constructor(index: number, issues: readonly StandardSchemaV1.Issue[]) {
    super(`row ${index} does not match the statement's schema: ${issues.map(describe).join('; ')}`);
    this.index = index;
    this.issues = issues;
  }
}

export async function validated<Row>(
  rows: readonly unknown[],
  schema: StandardSchemaV1<unknown, Row> | undefined,
): Promise<Row[]> {
  if (schema === undefined) return rows as Row[];
  const valid: Row[] = [];
  for (const [index, row] of rows.entries()) valid.push(await validatedRow(row, schema, index));
  return valid;
}

export async function validatedRow<Row>(
  row: unknown,
  schema: StandardSchemaV1<unknown, Row>,
  index: number,
): Promise<Row> {
  const result = await schema['~standard'].validate(row);
  if (result.issues) throw new InvalidRowError(index, result.issues);
  return result.value;
}

function describe({ message, path }: StandardSchemaV1.Issue): string {
  if (!path?.length) return message;
  return `${path.map((key) => String(typeof key === 'object' ? key.key : key)).join('.')}: ${message}`;
}
