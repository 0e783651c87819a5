/**
 * Something of the server that a page shows, kept up to date. It is read when its key changes, when a change
 * of one of its topics arrives, and every `everyMs` where one is given. Many changes at once make one read;
 * one read is under way at a time. A failed read keeps what was shown, with its age.
 */
import { type Fault, toFault } from '../api/client.ts';
import { live, type Topic } from './events.svelte.ts';

/** Changes within this time after the first make one read. */
const COALESCE_MS = 120;
/** Least time from the end of one read to the next that changes cause. */
const REST_MS = 400;

export interface Source<T> {
  /** Identity of what is read; another key forgets what was shown. */
  readonly key: string;
  load(signal: AbortSignal): Promise<T>;
}

export interface Watch {
  readonly topics?: readonly Topic[];
  /** Only changes with this id count. */
  readonly id?: string;
  readonly everyMs?: number;
}

export interface Resource<T> {
  readonly data: T | undefined;
  readonly fault: Fault | null;
  /** When `data` was read, in Unix milliseconds. */
  readonly atMs: number | null;
  /** Reads again now. */
  refresh(): Promise<void>;
}

/** Must be called while a component is set up. A source of null reads nothing. */
export function useResource<T>(source: () => Source<T> | null, watch: () => Watch): Resource<T> {
  let data = $state.raw<T>();
  let fault = $state.raw<Fault | null>(null);
  let atMs = $state<number | null>(null);
  let shownKey: string | undefined;
  let reader: { read(): Promise<void> } | undefined;
  const key = $derived(source()?.key);

  $effect(() => {
    if (key === undefined) return;
    if (key !== shownKey) {
      data = undefined;
      fault = null;
      shownKey = key;
    }
    const stop = new AbortController();
    const read = async () => {
      try {
        const answer = await source()?.load(stop.signal);
        if (stop.signal.aborted) return;
        data = answer;
        fault = null;
        atMs = Date.now();
      } catch (error) {
        if (!stop.signal.aborted) fault = toFault(error);
      }
    };
    const own = singleFlight(read, stop.signal);
    reader = own;
    void own.read();
    const { topics = [], id, everyMs } = watch();
    const stopListening = live.onChange((change) => {
      const meant = change.topic === '*' || topics.includes(change.topic);
      if (meant && (id === undefined || change.topic === '*' || change.id === id)) own.nudge();
    });
    const timer = everyMs === undefined ? undefined : setInterval(() => own.nudge(), everyMs);
    return () => {
      stop.abort();
      stopListening();
      clearInterval(timer);
    };
  });

  return {
    get data() {
      return data;
    },
    get fault() {
      return fault;
    },
    get atMs() {
      return atMs;
    },
    refresh: async () => reader?.read(),
  };
}

/** Runs `work` one at a time; nudges during it or shortly after one another make one more run. */
function singleFlight(work: () => Promise<void>, signal: AbortSignal) {
  let running: Promise<void> | undefined;
  let again = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener('abort', () => clearTimeout(timer));

  function start(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    running = work().finally(() => {
      running = undefined;
      if (again) schedule(REST_MS);
      again = false;
    });
    return running;
  }
  function schedule(ms: number): void {
    if (signal.aborted) return;
    timer ??= setTimeout(() => void start(), ms);
  }
  return {
    /** At once, or after the one under way. */
    read: async (): Promise<void> => {
      await running;
      await (running ?? start());
    },
    nudge(): void {
      if (running) again = true;
      else schedule(COALESCE_MS);
    },
  };
}
