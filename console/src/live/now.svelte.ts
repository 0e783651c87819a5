/** The wall clock as reactive state: whoever reads `now.ms` is drawn again each second. */
import { createSubscriber } from 'svelte/reactivity';

const TICK_MS = 1_000;

class Now {
  #subscribe = createSubscriber((update) => {
    const timer = setInterval(update, TICK_MS);
    return () => clearInterval(timer);
  });

  /** Unix milliseconds. */
  get ms(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const now = new Now();
