/** What an optional package's `import()` rejects with, told so that one knows what to do if it is missing. */
export function missing(name: string): (cause: unknown) => never {
  return (cause) => {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new Error(`This needs the npm package "${name}": npm install --save-dev ${name}`, { cause });
  };
}
