/**
 * The OpenLineage receiver. Each event of a body stands for itself: what is wrong is told by its index, the rest
 * is kept. Runs and assets go to the sink (what is so), every event to ClickHouse as it came (what was seen).
 * The sink is idempotent, hence a sender that got no answer may send again.
 */
import { SignalboxError } from '../../../domain/errors.ts';
import type { ExternalRunEvent, ExternalRunSink } from '../../../domain/events.ts';
import type { Clock } from '../../../domain/time.ts';
import { lineageEventRow, TABLES } from '../../clickhouse/tables.ts';
import { toRows, type Writer } from '../../clickhouse/writer.ts';
import type { Collector } from '../../service.ts';
import { type Fault, type LineageDataset, type LineageEvent, readEvent } from './event.ts';
import { schemaOf } from './facets.ts';
import { assetKeyOf, understandRun } from './understand.ts';

export interface OpenLineageReceiverOptions {
  readonly writer: Pick<Writer, 'record'>;
  readonly sink: ExternalRunSink;
  readonly clock: Clock;
}

const MAX_EVENTS = 10_000;
const MAX_DEPTH = 100;

type Dataset = Parameters<ExternalRunSink['recordDatasets']>[0][number];

interface Understood {
  readonly runs: ExternalRunEvent[];
  readonly datasets: Map<string, Dataset>;
  readonly rows: ReturnType<typeof lineageEventRow>[];
}

/** Makes the receiver. */
export function createOpenLineageReceiver(
  options: OpenLineageReceiverOptions,
): Collector['receiveOpenLineage'] {
  const { writer, sink, clock } = options;
  return async (body) => {
    const events: readonly unknown[] = Array.isArray(body) ? body : [body];
    if (events.length > MAX_EVENTS) {
      throw new SignalboxError('body-too-large', `at most ${MAX_EVENTS} events at a time`);
    }
    const understood: Understood = { runs: [], datasets: new Map(), rows: [] };
    const receivedMs = clock.now();
    const faults = events.flatMap((raw, index) =>
      takeIn(raw, understood, receivedMs).map((fault) => ({ index, ...fault })),
    );
    const { runs, datasets, rows } = understood;
    if (runs.length > 0) await sink.record(runs);
    if (datasets.size > 0) await sink.recordDatasets([...datasets.values()]);
    await writer.record(TABLES.lineageEvents, toRows(rows));
    return { accepted: rows.length, faults };
  };
}

/** @returns what is wrong with the event; where nothing is, it was added to `into` */
function takeIn(raw: unknown, into: Understood, receivedMs: number): readonly Fault[] {
  const clean = cleaned(raw, 0);
  if (clean === TOO_DEEP) return [{ path: '', message: `nested deeper than ${MAX_DEPTH} levels` }];
  const read = readEvent(clean);
  if (!('kind' in read)) return read;
  if (read.kind === 'run') {
    const run = understandRun(read.event, read.at);
    if (!('engine' in run)) return run;
    into.runs.push(run);
  }
  for (const dataset of datasetsOf(read)) {
    const schema = schemaOf(dataset.facets);
    // A run event makes its datasets known by itself; beyond that only a schema is news.
    if (read.kind === 'run' && schema === null) continue;
    const key = assetKeyOf(dataset);
    into.datasets.set(key, { key, schema, at: read.at });
  }
  into.rows.push(toLineageRow(read, receivedMs));
  return [];
}

function datasetsOf(read: LineageEvent): readonly LineageDataset[] {
  if (read.kind === 'dataset') return [read.event.dataset];
  return [...(read.event.inputs ?? []), ...(read.event.outputs ?? [])];
}

function toLineageRow(read: LineageEvent, receivedMs: number) {
  const { kind, event, at } = read;
  const isDataset = kind === 'dataset';
  const type = kind === 'run' ? (event.eventType ?? 'OTHER') : kind.toUpperCase();
  return lineageEventRow({
    at,
    receivedMs,
    type,
    jobNamespace: isDataset ? '' : event.job.namespace,
    jobName: isDataset ? '' : event.job.name,
    runId: kind === 'run' ? event.run.runId.toLowerCase() : '',
    inputs: isDataset ? [] : (event.inputs ?? []).map(assetKeyOf),
    outputs: isDataset ? [assetKeyOf(event.dataset)] : (event.outputs ?? []).map(assetKeyOf),
    event: JSON.stringify(event),
  });
}

const TOO_DEEP = Symbol('too deep');

/**
 * Without what no database keeps as text (NUL characters and halves of surrogate pairs), and without members
 * that are null, as some producers send what they do not have.
 */
function cleaned(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '').toWellFormed();
  if (value === null || typeof value !== 'object') return value;
  if (depth >= MAX_DEPTH) return TOO_DEEP;
  if (Array.isArray(value)) {
    const items = value.map((item) => cleaned(item, depth + 1));
    return items.includes(TOO_DEEP) ? TOO_DEEP : items;
  }
  const entries = Object.entries(value)
    .filter(([, item]) => item !== null)
    .map(([key, item]) => [String(cleaned(key, 0)), cleaned(item, depth + 1)] as const);
  return entries.some(([, item]) => item === TOO_DEEP) ? TOO_DEEP : Object.fromEntries(entries);
}
