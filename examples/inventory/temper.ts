import { createHash } from 'node:crypto';

/** How the upstream server answers. */
export type Temper =
  | { readonly kind: 'answers' /** ms */; readonly delay: number }
  | { readonly kind: 'fails' }
  | { readonly kind: 'hangs' };

/**
 * How one path is answered when it is asked for the nth time. The same seed gives the same mix: of a hundred paths 78 are
 * fast, 12 slow, 6 fail at first, 3 hang at first, and one fails always.
 */
export function temperOf(path: string, seed: number, nth: number): Temper {
  const digest = createHash('sha256').update(`${seed} ${path}`).digest();
  const percent = digest.readUInt32LE(0) % 100;
  const spread = digest[4] as number; // 0 to 255
  if (percent < 78) return { kind: 'answers', delay: spread / 25 };
  if (percent < 90) return { kind: 'answers', delay: 50 + spread };
  if (percent === 99) return { kind: 'fails' };
  if (nth > 1) return { kind: 'answers', delay: spread / 25 };
  return { kind: percent < 96 ? 'fails' : 'hangs' };
}
