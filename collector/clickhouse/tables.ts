/**
 * The product's tables as types: one mapping for each kind of event to a row whose keys are the columns. Times
 * are milliseconds since the epoch; ClickHouse reads such a number into DateTime64(3) as it is.
 */
import type { LogLine } from '../../domain/agent-protocol.ts';
import type { AssetEvent, HeartbeatSample, PoolSample, RunEvent } from '../../domain/events.ts';
import { TELEMETRY } from '../../domain/telemetry.ts';

export const TABLES = {
  runEvents: 'signalbox.run_events',
  assetEvents: 'signalbox.asset_events',
  poolSamples: 'signalbox.pool_samples',
  heartbeats: 'signalbox.heartbeats',
  lineageEvents: 'signalbox.lineage_events',
  incidentEvents: 'signalbox.incident_events',
  traces: 'otel.otel_traces',
  logs: 'otel.otel_logs',
} as const;

export function runEventRow(event: RunEvent) {
  return {
    event_id: event.id,
    at: Math.floor(event.at),
    engine: event.engine,
    run_id: event.runId,
    workflow: event.workflow,
    task_key: event.taskKey,
    attempt: event.attempt,
    state: event.state,
    business_key: event.businessKey,
    logical_date: wholeMs(event.logicalDate),
    parameters: event.parameters,
    trigger: event.trigger,
    parent_run_id: event.parentRunId,
    retry_of: event.retryOf,
    agent: event.agent,
    trace_id: event.traceId,
    error: event.error,
    started_at: wholeMs(event.startedAt),
    finished_at: wholeMs(event.finishedAt),
  };
}

export function assetEventRow(event: AssetEvent) {
  return {
    event_id: event.id,
    at: Math.floor(event.at),
    recorded_at: Math.floor(event.recordedAt),
    asset_key: event.assetKey,
    type: event.type,
    run_id: event.runId,
    partition: event.partition,
    detail: event.detail,
  };
}

/** A column has whole milliseconds; times out of PostgreSQL may have more digits. */
function wholeMs(at: number | null): number | null {
  return at === null ? null : Math.floor(at);
}

export function poolSampleRow(sample: PoolSample) {
  return {
    at: Math.floor(sample.at),
    pool: sample.pool,
    kind: sample.kind,
    instance: sample.instance,
    server: sample.server,
    used: sample.used,
    idle: sample.idle,
    waiting: sample.waiting,
    max: sample.max,
    reserved: sample.reserved,
    timeouts: sample.timeouts,
    holders: sample.holders,
  };
}

export function heartbeatRow(sample: HeartbeatSample) {
  return {
    at: Math.floor(sample.at),
    kind: sample.kind,
    id: sample.id,
    name: sample.name,
    state: sample.state,
    running: sample.running,
    interval_ms: sample.intervalMs,
  };
}

/** An OpenLineage event as it came, with what it names in columns. */
export function lineageEventRow(event: {
  at: number;
  receivedMs: number;
  type: string;
  jobNamespace: string;
  jobName: string;
  runId: string;
  inputs: readonly string[];
  outputs: readonly string[];
  event: string;
}) {
  return {
    at: Math.floor(event.at),
    received_at: event.receivedMs,
    type: event.type,
    job_namespace: event.jobNamespace,
    job_name: event.jobName,
    run_id: event.runId,
    inputs: event.inputs,
    outputs: event.outputs,
    event: event.event,
  };
}

/** An event of an incident's timeline; what has no column goes into `detail`. */
export function incidentEventRow(event: Readonly<Record<string, unknown>>, nowMs: number) {
  const { at, incidentId, number, kind, status, severity, type, reason, actor, detail } = event;
  const atMs = typeof at === 'string' ? Date.parse(at) : Number(at ?? nowMs);
  return {
    at: Number.isFinite(atMs) ? atMs : nowMs,
    incident_id: text(incidentId ?? event['id']),
    number: Number(number ?? 0),
    kind: text(kind),
    status: text(status),
    severity: text(severity),
    type: text(type),
    reason: text(reason),
    actor: text(actor),
    detail: typeof detail === 'string' ? detail : JSON.stringify(detail ?? {}),
  };
}

const SEVERITY_NUMBERS = { debug: 5, info: 9, warn: 13, error: 17 } as const;

/** Service name under which what tasks log is kept. */
const TASK_LOG_SERVICE = 'signalbox-agent';

/** Longer messages are cut; agents cut theirs before. */
const MAX_MESSAGE = 32_768;

/**
 * A task's log line as a row of `otel_logs`.
 * @param orderInMs place among the lines of the same millisecond; kept as nanoseconds, so that order survives
 */
export function logRow(line: LogLine & { workflow: string; agent: string }, orderInMs: number) {
  const attributes: Record<string, string> = {};
  for (const [key, value] of Object.entries(line.attributes))
    attributes[key] = attributeText(value);
  return {
    Timestamp: `${Math.trunc(line.at / 1_000)}.${pad(line.at % 1_000, 3)}${pad(orderInMs, 6)}`,
    SeverityText: line.level.toUpperCase(),
    SeverityNumber: SEVERITY_NUMBERS[line.level],
    ServiceName: TASK_LOG_SERVICE,
    Body: line.message.slice(0, MAX_MESSAGE),
    ResourceAttributes: { 'service.name': TASK_LOG_SERVICE, [TELEMETRY.agent]: line.agent },
    LogAttributes: {
      ...attributes,
      [TELEMETRY.runId]: line.runId,
      [TELEMETRY.taskKey]: line.taskKey,
      [TELEMETRY.workflow]: line.workflow,
      [TELEMETRY.attempt]: String(line.attempt),
    },
  };
}

function pad(value: number, length: number): string {
  return String(Math.trunc(value)).padStart(length, '0');
}

function attributeText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}
