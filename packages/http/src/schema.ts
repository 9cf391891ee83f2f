/** Typed JSON: any validator that implements Standard Schema (zod, valibot, arktype, …). */
import { ClientError } from './errors.ts';

/** The part of Standard Schema that is needed here. @see https://standardschema.dev */
export interface StandardSchema<Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The answer is not what its schema says. */
export class ClientSchemaError extends ClientError {
  override name = 'ClientSchemaError';
  override readonly code = 'ERR_HTTP_SCHEMA';
  readonly issues: readonly SchemaIssue[];

  constructor(label: string, issues: readonly SchemaIssue[]) {
    super(`${label}: the answer does not match its schema: ${issues.map(shown).join('; ')}`);
    this.issues = issues;
  }
}

/** @throws {@link ClientSchemaError} */
export async function validated<Output>(
  schema: StandardSchema<Output>,
  value: unknown,
  label: string,
): Promise<Output> {
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new ClientSchemaError(label, result.issues);
  return result.value;
}

function shown({ message, path = [] }: SchemaIssue): string {
  const keys = path.map((segment) => String(typeof segment === 'object' ? segment.key : segment));
  return keys.length === 0 ? message : `${keys.join('.')}: ${message}`;
}
