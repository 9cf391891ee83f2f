/** A second copy of core in this process, as npm or a bundler may load one. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as core from '@aiokit/core';

export async function loadSecondCopy(): Promise<typeof core> {
  const folder = mkdtempSync(join(tmpdir(), 'aiokit-copy-'));
  cpSync(new URL('../../src', import.meta.url), join(folder, 'src'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const copy = (await import(join(folder, 'src/index.ts'))) as typeof core;
  rmSync(folder, { recursive: true });
  return copy;
}
