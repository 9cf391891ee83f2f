/**
 * What a statement's text tells about how it may be cancelled. Scanned by hand: a regular expression that skips comments
 * backtracks, and a text is the caller's.
 */

const SPACE = /\s+/y;
const CONTROL = /(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\b/iy;
const COMMIT = /(?:commit|end|prepare\s+transaction)\b/iy;
const SETTING = /set\b/iy;

/**
 * Whether the text only opens, closes or marks a transaction (and sets parameters of it). Such a statement is short and what
 * it leaves behind matters to whoever comes next, so it is never interrupted: a COMMIT that was cut off may have happened.
 */
export function isTransactionControl(text: string | undefined): boolean {
  if (text === undefined) return false;
  let at = skipSpace(text, 0);
  if (!matches(CONTROL, text, at)) return false;
  for (;;) {
    const end = text.indexOf(';', at);
    if (end < 0) return true;
    at = skipSpace(text, end + 1);
    if (at === text.length) return true;
    if (!matches(CONTROL, text, at) && !matches(SETTING, text, at)) return false;
  }
}

/** Whether it is a COMMIT: the one statement whose answer nobody can do without. */
export function isCommit(text: string | undefined): boolean {
  return text !== undefined && matches(COMMIT, text, skipSpace(text, 0));
}

/** Where the next word begins, behind white space and comments. */
function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    if (matches(SPACE, text, at)) at = SPACE.lastIndex;
    else if (text.startsWith('--', at)) at = behind(text, '\n', at);
    else if (text.startsWith('/*', at)) at = behind(text, '*/', at + 2);
    else return at;
  }
}

function behind(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found < 0 ? text.length : found + end.length;
}

function matches(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}
