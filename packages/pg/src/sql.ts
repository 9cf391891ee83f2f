/**
 * `sql`: statements whose values are always parameters.
 *
 * What may stand in a placeholder is decided by its type, and only objects made here are more than values: they carry a
 * symbol, which nothing parsed from JSON can. So a value from outside cannot turn into text.
 */
import { inspect } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import pg from 'pg';

const PART: unique symbol = Symbol.for('aiokit.pg.sql') as never;

/** Something that `sql` puts into the text instead of sending it as a value. */
export interface SqlPart {
  /** @internal */
  readonly [PART]: (statement: Builder) => void;
}

/**
 * A statement with its values: what `sql` makes, and what pg's `query` takes. `Row` is the type of its rows.
 *
 * Inside another `sql` it is a fragment: its text is inserted and its values are numbered anew.
 */
export interface Sql<Row = pg.QueryResultRow> extends SqlPart {
  readonly text: string;
  readonly values: unknown[];
  /** What each row is validated by. */
  readonly schema?: StandardSchemaV1<unknown, Row> | undefined;
}

export interface SqlTag {
  /**
   * A statement. Each `${value}` becomes a parameter, and so does an array (for `= any(${ids})`).
   *
   * @example
   * ```ts
   * const users = await pool.fetch<User>(sql`select * from users where id = ${id}`);
   * ```
   */
  <Row = pg.QueryResultRow>(strings: TemplateStringsArray, ...values: unknown[]): Sql<Row>;
  /** A quoted identifier: `sql.id('public', 'users')` is `"public"."users"`. */
  id(...names: [string, ...string[]]): SqlPart;
  /** A list of parameters in parentheses: `where id in ${sql.list(ids)}`, `values ${sql.list(row)}`. Not empty. */
  list(values: readonly unknown[]): SqlPart;
  /** Parts one after the other, with ', ' or another fragment between them. */
  join(parts: Iterable<unknown>, separator?: SqlPart): SqlPart;
  /** Text as it is. Never give it anything that came from outside. */
  raw(text: string): Sql;
  /**
   * A tag whose rows are validated, and typed, by a Standard Schema (zod, valibot, arktype, …).
   *
   * @example
   * ```ts
   * const User = z.object({ id: z.number(), name: z.string() });
   * const users = await pool.fetch(sql.type(User)`select id, name from users`);
   * ```
   */
  type<Row>(schema: StandardSchemaV1<unknown, Row>): (strings: TemplateStringsArray, ...values: unknown[]) => Sql<Row>;
}

/** Makes statements out of templates: see {@link SqlTag}. */
export const sql: SqlTag = Object.assign(
  <Row>(strings: TemplateStringsArray, ...values: unknown[]): Sql<Row> => new Statement<Row>(strings, values),
  {
    id: (...names: [string, ...string[]]): SqlPart => {
      if (names.length === 0) throw new TypeError('sql.id() needs at least one name');
      const text = names.map((name) => pg.escapeIdentifier(checkString(name, 'sql.id(name)'))).join('.');
      return part((statement) => statement.addText(text));
    },
    list: (values: readonly unknown[]): SqlPart => {
      if (!Array.isArray(values)) throw new TypeError(`sql.list(values) must be an array, got ${inspect(values)}`);
      if (values.length === 0) {
        throw new RangeError('sql.list([]): SQL has no empty list. = any() with an array parameter takes an empty one');
      }
      return part((statement) => {
        statement.addText('(');
        addJoined(statement, values, COMMA);
        statement.addText(')');
      });
    },
    join: (parts: Iterable<unknown>, separator: SqlPart = COMMA): SqlPart => {
      const all = [...parts];
      return part((statement) => addJoined(statement, all, separator));
    },
    raw: (text: string): Sql => {
      checkString(text, 'sql.raw(text)');
      return new Statement(Object.assign([text], { raw: [text] }), []);
    },
    type:
      <Row>(schema: StandardSchemaV1<unknown, Row>) =>
      (strings: TemplateStringsArray, ...values: unknown[]): Sql<Row> =>
        new Statement<Row>(strings, values, schema),
  },
);

/** Whether `sql` made it. */
export function isSql(value: unknown): value is Sql {
  return isPart(value) && 'text' in value;
}

class Statement<Row> implements Sql<Row> {
  readonly text: string;
  readonly values: unknown[];
  readonly schema?: StandardSchemaV1<unknown, Row> | undefined;
  private readonly strings: readonly string[];
  private readonly parameters: readonly unknown[];

  constructor(strings: TemplateStringsArray, parameters: unknown[], schema?: StandardSchemaV1<unknown, Row>) {
    if (!Array.isArray(strings?.raw)) {
      throw new TypeError(
        `sql is a template tag: write sql\`…\`, not sql(…) (got ${inspect(strings)}). For text as it is there is sql.raw(text)`,
      );
    }
    this.strings = strings;
    this.parameters = parameters;
    if (schema !== undefined) this.schema = schema;
    const builder = new Builder();
    this[PART](builder);
    this.text = builder.text;
    this.values = builder.values;
    Object.defineProperty(this, 'strings', { enumerable: false });
    Object.defineProperty(this, 'parameters', { enumerable: false });
  }

  [PART](statement: Builder): void {
    this.strings.forEach((string, index) => {
      statement.addText(string);
      if (index < this.parameters.length) statement.add(this.parameters[index]);
    });
  }
}

class Builder {
  text = '';
  readonly values: unknown[] = [];

  add(value: unknown): void {
    if (isPart(value)) return value[PART](this);
    if (value === undefined) {
      throw new TypeError(`sql: the value at $${this.values.length + 1} is undefined; use null for NULL`);
    }
    this.values.push(value);
    this.text += `$${this.values.length}`;
  }

  addText(text: string): void {
    this.text += text;
  }
}

function part(add: (statement: Builder) => void): SqlPart {
  return { [PART]: add };
}

const COMMA = part((statement) => statement.addText(', '));

function addJoined(statement: Builder, values: readonly unknown[], separator: SqlPart): void {
  values.forEach((value, index) => {
    if (index > 0) statement.add(separator);
    statement.add(value);
  });
}

function isPart(value: unknown): value is SqlPart {
  return typeof value === 'object' && value !== null && PART in value;
}

function checkString(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${inspect(value)}`);
  return value;
}
