/**
 * A server that the environment names. By variables of our own: `DATABASE_URL` and `REDIS_URL` lead to the application's data,
 * and a test helper that creates and drops databases must be told where it may.
 */
export const POSTGRES_VARIABLE = 'AIOKIT_TEST_POSTGRES_URL';
export const REDIS_VARIABLE = 'AIOKIT_TEST_REDIS_URL';

/** @throws {TypeError} when the variable holds something else than such a URL */
export function urlFromEnvironment(variable: string, protocols: readonly string[]): string | undefined {
  const value = process.env[variable];
  if (value === undefined || value === '') return undefined;
  if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value;
  const shown = URL.canParse(value) ? withoutPassword(value) : `${value.slice(0, 12)}…`;
  throw new TypeError(`${variable} must be a URL that begins with ${protocols.join('// or ')}//, received "${shown}".`);
}

/** The URL as it may be shown. */
export function withoutPassword(url: string): string {
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return shown.href;
}
