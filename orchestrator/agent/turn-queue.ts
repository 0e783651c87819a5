/**
 * Does things in nobody's stack but this queue's: code that blocks may be interrupted, with all that it would have
 * returned to, and the rest of the queue goes on. They are done as a promise's continuation, which can be interrupted
 * without harm; an interrupted timer or immediate ends Node itself.
 */
const READY = Promise.resolve();

export class TurnQueue<T> {
  readonly #take: (item: T) => void;
  #items: T[] = [];
  #taken = 0;

  constructor(take: (item: T) => void) {
    this.#take = take;
  }

  add(item: T): void {
    if (this.#items.length === 0) setImmediate(this.#runAlone);
    this.#items.push(item);
  }

  /** By then nothing else waits for its turn in the same breath. */
  readonly #runAlone = (): void => void READY.then(this.#run);

  readonly #run = (): void => {
    const rest = setImmediate(this.#run);
    const items = this.#items;
    while (this.#taken < items.length) {
      const item = items[this.#taken] as T;
      this.#taken += 1;
      this.#take(item);
    }
    clearImmediate(rest);
    this.#items = [];
    this.#taken = 0;
  };
}
