/** What can be in a {@link Chain}, in one at a time. */
export interface Linked<T> {
  /** @internal */ _chain: { delete(member: T): boolean } | null;
  /** @internal */ _next: T | null;
  /** @internal */ _previous: T | null;
}

/**
 * First in, first out, with members that leave from anywhere: a list through the members themselves.
 *
 * A Set does the same and grows a new table every few dozen additions; the old one points to it and keeps what it held. Once
 * such a table has survived two scavenges, what came after it may survive, too: that was a tenth of a small request.
 */
export class Chain<T extends Linked<T>> implements Iterable<T> {
  size = 0;
  private first: T | null = null;
  private last: T | null = null;

  add(member: T): void {
    const { last } = this;
    member._chain = this;
    member._previous = last;
    if (last === null) this.first = member;
    else last._next = member;
    this.last = member;
    this.size++;
  }

  /** Returns whether it was there. */
  delete(member: T): boolean {
    if (member._chain !== this) return false;
    const { _next: next, _previous: previous } = member;
    if (previous === null) this.first = next;
    else previous._next = next;
    if (next === null) this.last = previous;
    else next._previous = previous;
    member._chain = member._next = member._previous = null;
    this.size--;
    return true;
  }

  shift(): T | null {
    const { first } = this;
    if (first !== null) this.delete(first);
    return first;
  }

  /** The member that is visited may leave meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let member = this.first, next: T | null; member !== null; member = next) {
      next = member._next;
      yield member;
    }
  }
}
