/**
 * What `acquire()` resolves to: `using guard = await lock.acquire()` releases at the end of the block. Releasing by hand, or
 * twice, does no harm: a guard releases at most once.
 */
export class Guard implements Disposable {
  private holder: { release(): void } | null;

  constructor(holder: { release(): void }) {
    this.holder = holder;
  }

  release(): void {
    const { holder } = this;
    this.holder = null;
    holder?.release();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
