/** The first frame of a stack that is neither Node's, ours nor a library's, for messages: ` at file:line`. */
export function place(stack: string | null | undefined): string {
  const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const own = frames.find((line) => !isLibrary(line)) ?? frames.at(-1);
  return own === undefined ? '' : ` ${own.trim()}`;
}

function isLibrary(line: string): boolean {
  return /node:|[\\/]node_modules[\\/]|[\\/](@aiokit|packages)[\\/](core|testing)[\\/](src|dist)[\\/]/.test(line);
}
