/** A list gives the name several times; `null` and `undefined` leave it out. */
export type ParamRecord = Readonly<
  Record<string, string | number | boolean | readonly (string | number | boolean)[] | null | undefined>
>;

export type Params = URLSearchParams | ParamRecord;

/** @param name of the option, for the error. */
export function addParams(target: URLSearchParams, params: Params, name: string): void {
  if (params instanceof URLSearchParams) {
    for (const [key, value] of params) target.append(key, value);
    return;
  }
  if (typeof params !== 'object' || params === null) {
    throw new TypeError(
      `${name} must be an object or URLSearchParams, got ${params === null ? 'null' : typeof params}`,
    );
  }
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === null) continue;
    for (const item of Array.isArray(value) ? value : [value]) target.append(key, String(item));
  }
}
