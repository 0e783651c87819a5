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
    const { maxItems, size, maxSize = 0 } = this.#limits;
    let count = Math.min(this.#items.length, maxItems);
    if (size) {
      let total = 0;
      const full = this.#items.findIndex((item) => {
        total += size(item);
        return total > maxSize;
      });
      if (full >= 0) count = Math.max(1, Math.min(count, full));
    }
    if (count === this.#items.length) {
      const all = this.#items;
      this.#items = [];
      return all;
    }
    return this.#items.splice(0, count);
  }
}
