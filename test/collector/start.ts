/** A collector on a real ClickHouse, with a source of events in memory and a sink that remembers. */
import { createCollector } from '../../collector/create.ts';
import type { Collector } from '../../collector/service.ts';
import type {
  AssetEvent,
  EventBatch,
  EventSource,
  ExternalRunEvent,
  RunEvent,
} from '../../domain/events.ts';
import { type Clock, systemClock } from '../../domain/time.ts';
import { makeTempDir } from '../support/temp-dir.ts';

export interface StartedCollector extends AsyncDisposable {
  readonly collector: Collector;
  readonly source: MemorySource;
  readonly external: ExternalRunEvent[];
  readonly lines: string[];
}

export const PASSWORDS = { reader: 'reader-password', writer: 'writer-password' };

/** Makes, migrates (unless told not to) and starts a collector. */
export async function startCollector(
  url: string,
  options: {
    source?: MemorySource;
    spoolDir?: string;
    migrate?: boolean;
    clock?: Clock;
    follow?: () => boolean;
    /** What is asked is asked as `writer` too. */
    withoutReader?: boolean;
    watchedPostgres?: readonly { name: string; url: string }[];
  } = {},
): Promise<StartedCollector> {
  const temp = options.spoolDir === undefined ? await makeTempDir('spool') : undefined;
  const source = options.source ?? memorySource();
  const external: ExternalRunEvent[] = [];
  const writer = { user: 'writer', password: PASSWORDS.writer };
  const lines: string[] = [];
  const collector = createCollector({
    clickhouse: {
      url,
      reader: options.withoutReader ? writer : { user: 'reader', password: PASSWORDS.reader },
      writer,
    },
    externalSink: {
      async record(events) {
        external.push(...events);
      },
      async recordDatasets() {},
    },
    eventSource: source,
    watchedPostgres: options.watchedPostgres ?? [],
    spoolDir: options.spoolDir ?? temp?.path ?? '',
    clock: options.clock ?? systemClock,
    log: (line) => lines.push(line),
    ...(options.follow ? { follow: options.follow } : {}),
  });
  if (options.migrate !== false) await collector.migrate();
  await collector.start();
  return {
    collector,
    source,
    external,
    lines,
    async [Symbol.asyncDispose]() {
      await collector.stop();
      await temp?.remove();
    },
  };
}

export interface MemorySource extends EventSource {
  append(runEvents: readonly RunEvent[], assetEvents?: readonly AssetEvent[]): void;
  /** While true the watermark is not kept, as if the process had died before it was saved. */
  forgetful: boolean;
}

/** Events in memory, in order; the watermark is how many were followed. */
export function memorySource(): MemorySource {
  const events: ({ run: RunEvent } | { asset: AssetEvent })[] = [];
  let saved: string | null = null;
  return {
    forgetful: false,
    append(runEvents, assetEvents = []) {
      events.push(...runEvents.map((run) => ({ run })), ...assetEvents.map((asset) => ({ asset })));
    },
    async readAfter(watermark, limit): Promise<EventBatch> {
      const from = Number(watermark ?? 0);
      const some = events.slice(from, from + limit);
      return {
        runEvents: some.flatMap((each) => ('run' in each ? [each.run] : [])),
        assetEvents: some.flatMap((each) => ('asset' in each ? [each.asset] : [])),
        watermark: String(from + some.length),
        caughtUp: from + some.length >= events.length,
      };
    },
    async loadWatermark() {
      return saved;
    },
    async saveWatermark(watermark, from) {
      if (from !== undefined && from !== saved) return false;
      if (!this.forgetful) saved = watermark;
      return true;
    },
  };
}

const YESTERDAY = Math.floor(Date.now() / 1_000) * 1_000 - 86_400_000;

/** A run event with everything set, a millisecond later for each id. */
export function runEvent(id: number, fields: Partial<RunEvent> = {}): RunEvent {
  const at = YESTERDAY + id;
  return {
    id: String(id),
    at,
    engine: 'signalbox',
    runId: `run-${id}`,
    workflow: 'orders',
    taskKey: '',
    attempt: 1,
    state: 'running',
    businessKey: 'signalbox|orders|-|{}',
    logicalDate: null,
    parameters: '{}',
    trigger: 'manual',
    parentRunId: '',
    retryOf: '',
    agent: 'agent-1',
    traceId: '',
    error: '',
    startedAt: at,
    finishedAt: null,
    ...fields,
  };
}

/** An asset event with everything set. */
export function assetEvent(id: number): AssetEvent {
  const at = YESTERDAY + id;
  return {
    id: String(id),
    at,
    recordedAt: at,
    assetKey: 'db/orders',
    type: 'materialized',
    runId: `run-${id}`,
    partition: '',
    detail: '{}',
  };
}
