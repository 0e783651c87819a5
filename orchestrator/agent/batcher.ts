/**
 * Collects what comes in while calls are under way, so that a batch is as large as the load: alone an item goes out
 * at once, under load a thousand go together.
 */
export interface BatchLimits<T> {
  readonly maxItems: number;
  /** Calls under way at a time. */
  readonly maxInFlight: number;
  /** Rough size of an item, with its limit for a batch. */
  readonly size?: (item: T) => number;
  readonly maxSize?: number;
}

export class Batcher<T> {
  readonly #send: (items: readonly T[]) => Promise<void>;
  readonly #limits: BatchLimits<T>;
  #items: T[] = [];
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** @param send must not fail: what an error means for its items is for the caller to decide */
  constructor(send: (items: readonly T[]) => Promise<void>, limits: BatchLimits<T>) {
    this.#send = send;
    this.#limits = limits;
  }

  add(item: T): void {
    this.#items.push(item);
    if (this.#scheduled || this.#inFlight >= this.#limits.maxInFlight) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    if (this.#items.length === 0 && this.#inFlight === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    while (this.#items.length > 0 && this.#inFlight < this.#limits.maxInFlight) {
      const batch = this.#next();
      this.#inFlight += 1;
      void this.#send(batch).finally(() => {
        this.#inFlight -= 1;
        this.#flush();
      });
    }
    if (this.#items.length === 0 && this.#inFlight === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  };

  #next(): readonly T[] {
    const count = this.#countOfNext();
    if (count < this.#items.length) return this.#items.splice(0, count);
    const all = this.#items;
    this.#items = [];
    return all;
  }

  /** As many as fit into a call; one at least. */
  #countOfNext(): number {
    const { maxItems, size, maxSize = 0 } = this.#limits;
    const most = Math.min(this.#items.length, maxItems);
    if (!size) return most;
    let total = 0;
    for (let index = 0; index < most; index++) {
      const item = this.#items[index];
      if (item !== undefined) total += size(item);
      if (total > maxSize) return Math.max(1, index);
    }
    return most;
  }
}
