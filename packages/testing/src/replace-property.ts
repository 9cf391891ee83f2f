/** Puts a value in place of a property, and returns what puts the old one back. */
export function replaceProperty(target: object, key: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, key);
  const enumerable = before?.enumerable ?? false;
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true });
  return () => {
    if (before === undefined) delete (target as Record<string, unknown>)[key];
    else Object.defineProperty(target, key, before);
  };
}
