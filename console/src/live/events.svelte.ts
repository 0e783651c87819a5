/**
 * The live line to the server: a plain loop that opens the event stream, waits for its end, and opens it
 * again. Outcomes of one turn of the loop:
 *
 *   live      the server said `hello`; changes arrive. On every `hello` after the first, everything shown is
 *             read again, since changes may have been missed.
 *   lost      the stream ended or never opened: wait 1 s, then 2, 4, 8, at most 15 s, and open it again.
 *             What is shown keeps its age; the frame says that the line is down.
 *   stopped   the console was signed out: the loop ends.
 *
 * A change names a topic and an id and nothing else; who shows it reads it anew.
 */

export type Topic = 'run' | 'asset' | 'agent' | 'pool' | 'workflow' | 'incident' | 'execution';

export interface Change {
  readonly topic: Topic | '*';
  readonly id: string;
}

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;

class Live {
  #listeners = new Set<(change: Change) => void>();
  #stop: AbortController | undefined;
  /** `connecting` only before the first `hello`. */
  state = $state<'connecting' | 'live' | 'lost'>('connecting');
  /** Since when the line is down, in Unix milliseconds; null while it is up. */
  lostAtMs = $state<number | null>(null);

  /** Calls `listener` for each change; topic `*` means that anything may have changed. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#stop) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#loop(stop.signal);
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.state = 'connecting';
    this.lostAtMs = null;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    let seenBefore = false;
    while (!signal.aborted) {
      const wasLive = await this.#listen(signal, () => {
        if (seenBefore) this.#tell({ topic: '*', id: '' });
        seenBefore = true;
      });
      if (signal.aborted) return;
      this.state = 'lost';
      this.lostAtMs ??= Date.now();
      waitMs = wasLive ? FIRST_WAIT_MS : Math.min(waitMs * 2, LONGEST_WAIT_MS);
      await sleep(waitMs, signal);
    }
  }

  /** One stream from its opening to its end; true where it was live in between. */
  #listen(signal: AbortSignal, onHello: () => void): Promise<boolean> {
    return new Promise((resolve) => {
      const source = new EventSource('/api/v1/events');
      let live = false;
      const end = () => {
        source.close();
        resolve(live);
      };
      signal.addEventListener('abort', end, { once: true });
      source.addEventListener('hello', () => {
        live = true;
        this.state = 'live';
        this.lostAtMs = null;
        onHello();
      });
      source.addEventListener('change', (event) => this.#tell(JSON.parse(event.data) as Change));
      source.addEventListener('error', end);
    });
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

export const live = new Live();
