/** The API's routes that the console uses, with their types. */
import type { Agent } from '../../../domain/agent.ts';
import type { ShownLogLine, WorkflowFileError } from '../../../domain/agent-protocol.ts';
import type { Artifact } from '../../../domain/artifact.ts';
import type { Asset, Materialization } from '../../../domain/asset.ts';
import type { AssetAutomation, AutomationEvaluation } from '../../../domain/automation.ts';
import type {
  Backfill,
  BackfillItem,
  BackfillPlan,
  BackfillRequest,
} from '../../../domain/backfill.ts';
import type { Deadline } from '../../../domain/deadline.ts';
import type { Environment, EnvironmentDiff } from '../../../domain/environment.ts';
import type { Incident } from '../../../domain/incident.ts';
import type {
  AssetPartition,
  MaterializePlan,
  MaterializeReply,
  PartitionCounts,
  PartitionSelection,
} from '../../../domain/partition.ts';
import type { Pool } from '../../../domain/pool.ts';
import type { Run, Task } from '../../../domain/run.ts';
import type { Attempt, Effect, RunActionRecord } from '../../../domain/run-control.ts';
import type { Execution, RunbookMode } from '../../../domain/runbook.ts';
import type { ExpectedRun, SchedulePreview } from '../../../domain/schedule.ts';
import type { Sensor } from '../../../domain/sensor.ts';
import { environmentLooked, withQuery } from '../routes.ts';
import { request } from './client.ts';
import type {
  DetectorSummary,
  LineageGraph,
  Me,
  Page,
  QueueSetting,
  QueueSummary,
  RunbookSummary,
  WorkflowDetail,
  WorkflowSummary,
} from './types.ts';

type Signal = AbortSignal | undefined;

const id = encodeURIComponent;
const options = (signal: Signal) => (signal ? { signal } : {});
/** What is of environments; the rest is of none, or of all. */
const OF_ENVIRONMENTS =
  /^\/(workflows|workflow-errors|runs|assets|backfills|sensors|deadlines|expected-runs|pools|queues|agents)\b/;
/** The path in the environment that is looked at. */
const inEnvironment = (path: string) =>
  OF_ENVIRONMENTS.test(path) ? withQuery(path, { environment: environmentLooked() }) : path;
const get = <T>(path: string, signal: Signal) =>
  request<T>('GET', inEnvironment(path), options(signal));
const post = <T>(path: string, body: unknown = {}) =>
  request<T>('POST', inEnvironment(path), { body });
const put = <T>(path: string, body: unknown) => request<T>('PUT', inEnvironment(path), { body });

export interface ListQuery {
  readonly limit?: number;
  readonly cursor?: string;
}

function list<T>(
  path: string,
  query: Readonly<Record<string, string | number | null | undefined>>,
  signal: Signal,
): Promise<Page<T>> {
  const texts = Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, value == null ? null : String(value)]),
  );
  return get(withQuery(path, texts), signal);
}

export const auth = {
  me: (signal?: AbortSignal) => get<Me>('/auth/me', signal),
  login: (credential: { code: string } | { token: string }) =>
    post<unknown>('/auth/login', credential),
  logout: () => post<unknown>('/auth/logout'),
};

export const runs = {
  list: (
    query: ListQuery & { workflow?: string | null; state?: string | null; engine?: string | null },
    signal?: AbortSignal,
  ) => list<Run>('/runs', { ...query }, signal),
  get: (run: string, signal?: AbortSignal) => get<Run>(`/runs/${id(run)}`, signal),
  tasks: (run: string, signal?: AbortSignal) =>
    list<Task>(`/runs/${id(run)}/tasks`, {}, signal).then(({ items }) => items),
  logs: (
    run: string,
    query: ListQuery & { taskKey?: string | null; attempt?: number | null },
    signal?: AbortSignal,
  ) => list<ShownLogLine>(`/runs/${id(run)}/logs`, { ...query }, signal),
  /** What an action would change; changes nothing. */
  propose: (run: string, verb: string, body: object) =>
    post<Effect>(`/runs/${id(run)}/${verb}`, { ...body, dryRun: true }),
  act: (run: string, verb: string, body: object) =>
    post<Run | Effect>(`/runs/${id(run)}/${verb}`, body),
  rerun: (run: string) => post<Run>(`/runs/${id(run)}/rerun`),
  attempts: (run: string, task: string, signal?: AbortSignal) =>
    list<Attempt>(`/runs/${id(run)}/tasks/${id(task)}/attempts`, {}, signal).then(
      ({ items }) => items,
    ),
  artifacts: (run: string, signal?: AbortSignal) =>
    list<Artifact>(`/runs/${id(run)}/artifacts`, {}, signal).then(({ items }) => items),
  deadlines: (run: string, signal?: AbortSignal) =>
    list<Deadline>(`/runs/${id(run)}/deadlines`, {}, signal).then(({ items }) => items),
  actions: (run: string, signal?: AbortSignal) =>
    list<RunActionRecord>(`/runs/${id(run)}/actions`, {}, signal).then(({ items }) => items),
};

export const workflows = {
  list: (query: ListQuery, signal?: AbortSignal) =>
    list<WorkflowSummary>('/workflows', { ...query }, signal),
  get: (name: string, signal?: AbortSignal) =>
    get<WorkflowDetail>(`/workflows/${id(name)}`, signal),
  trigger: (
    name: string,
    body: {
      parameters: Record<string, unknown>;
      idempotencyKey?: string;
      logicalDate?: string;
      priority?: number;
    },
  ) => post<Run>(`/workflows/${id(name)}/runs`, body),
  schedule: (name: string, count: number, signal?: AbortSignal) =>
    get<SchedulePreview>(`/workflows/${id(name)}/schedule?count=${count}`, signal),
  expected: (name: string, query: ListQuery & { outcome?: string | null }, signal?: AbortSignal) =>
    list<ExpectedRun>(`/workflows/${id(name)}/expected-runs`, { ...query }, signal),
  fileErrors: (signal?: AbortSignal) => list<WorkflowFileError>('/workflow-errors', {}, signal),
  setPaused: (name: string, paused: boolean) =>
    post<WorkflowDetail>(`/workflows/${id(name)}/${paused ? 'pause' : 'unpause'}`),
};

export const backfills = {
  list: (query: ListQuery & { workflow?: string | null }, signal?: AbortSignal) =>
    list<Backfill>('/backfills', { ...query }, signal),
  items: (backfill: string, query: ListQuery, signal?: AbortSignal) =>
    list<BackfillItem>(`/backfills/${id(backfill)}/items`, { ...query }, signal),
  /** What it would do; nothing is done. */
  plan: (workflow: string, body: BackfillRequest) =>
    post<BackfillPlan>(`/workflows/${id(workflow)}/backfills`, { ...body, dryRun: true }),
  start: (workflow: string, body: BackfillRequest) =>
    post<Backfill>(`/workflows/${id(workflow)}/backfills`, body),
  change: (backfill: string, verb: 'cancel' | 'pause' | 'resume') =>
    post<Backfill>(`/backfills/${id(backfill)}/${verb}`),
};

export const sensors = {
  list: (query: ListQuery, signal?: AbortSignal) => list<Sensor>('/sensors', { ...query }, signal),
  change: (sensor: string, verb: 'pause' | 'unpause' | 'tick') =>
    post<Sensor>(`/sensors/${id(sensor)}/${verb}`),
};

export const deadlines = {
  list: (
    query: ListQuery & { workflow?: string; missed?: 'true' | 'open' | 'false' },
    signal?: AbortSignal,
  ) => list<Deadline>('/deadlines', { ...query }, signal),
};

export const environments = {
  list: (signal?: AbortSignal) => list<Environment>('/environments', { limit: 1_000 }, signal),
  diff: (name: string, signal?: AbortSignal) =>
    get<EnvironmentDiff>(`/environments/${id(name)}/diff`, signal),
  delete: (name: string) => request<Environment>('DELETE', `/environments/${id(name)}`),
};

export const assets = {
  list: (query: ListQuery, signal?: AbortSignal) => list<Asset>('/assets', { ...query }, signal),
  get: (key: string, signal?: AbortSignal) => get<Asset>(`/assets/${id(key)}`, signal),
  materializations: (key: string, query: ListQuery, signal?: AbortSignal) =>
    list<Materialization>(`/assets/${id(key)}/materializations`, { ...query }, signal),
  lineage: (key: string, depth: number, signal?: AbortSignal) =>
    get<LineageGraph>(`/assets/${id(key)}/lineage?depth=${depth}`, signal),
  materialize: (key: string) => post<Run>(`/assets/${id(key)}/materialize`),
  partitions: (
    key: string,
    query: ListQuery & { readonly state?: string | null },
    signal?: AbortSignal,
  ) => list<AssetPartition>(`/assets/${id(key)}/partitions`, { ...query }, signal),
  partitionCounts: (key: string, signal?: AbortSignal) =>
    get<PartitionCounts>(`/assets/${id(key)}/partitions/counts`, signal),
  materializePartitions: (key: string, partitions: PartitionSelection) =>
    post<MaterializeReply>(`/assets/${id(key)}/materialize`, { partitions }),
  /** Which runs it would make; none is made. */
  planPartitions: (key: string, partitions: PartitionSelection) =>
    post<MaterializePlan>(`/assets/${id(key)}/materialize`, { partitions, dryRun: true }),
  automation: (key: string, signal?: AbortSignal) =>
    get<AssetAutomation>(`/assets/${id(key)}/automation`, signal),
  automationHistory: (key: string, query: ListQuery, signal?: AbortSignal) =>
    list<AutomationEvaluation>(`/assets/${id(key)}/automation/evaluations`, { ...query }, signal),
  pauseAutomation: (key: string, paused: boolean) =>
    post<AssetAutomation>(`/assets/${id(key)}/automation/${paused ? 'pause' : 'resume'}`),
};

export const pools = {
  list: (signal?: AbortSignal) => list<Pool>('/pools', { limit: 1_000 }, signal),
  set: (name: string, max: number) => put<Pool>(`/pools/${id(name)}`, { max }),
};

export const queues = {
  list: (signal?: AbortSignal) => list<QueueSummary>('/queues', { limit: 1_000 }, signal),
  set: (name: string, value: QueueSetting) => put<QueueSummary>(`/queues/${id(name)}`, value),
};

export const agents = {
  list: (signal?: AbortSignal) => list<Agent>('/agents', { limit: 1_000 }, signal),
};

export const incidents = {
  list: (
    query: ListQuery & { status?: string | null; kind?: string | null },
    signal?: AbortSignal,
  ) => list<Incident>('/incidents', { ...query }, signal),
  get: (incident: string, signal?: AbortSignal) =>
    get<Incident>(`/incidents/${id(incident)}`, signal),
  acknowledge: (incident: string) => post<Incident>(`/incidents/${id(incident)}/acknowledge`),
  resolve: (incident: string, reason: string) =>
    post<Incident>(`/incidents/${id(incident)}/resolve`, { reason }),
  note: (incident: string, text: string) =>
    post<Incident>(`/incidents/${id(incident)}/notes`, { text }),
};

export const executions = {
  get: (execution: string, signal?: AbortSignal) =>
    get<Execution>(`/executions/${id(execution)}`, signal),
  approve: (execution: string) => post<Execution>(`/executions/${id(execution)}/approve`),
  reject: (execution: string, reason: string) =>
    post<Execution>(`/executions/${id(execution)}/reject`, { reason }),
  start: (runbook: string, incidentId: string) =>
    post<Execution>(`/runbooks/${id(runbook)}/executions`, { incidentId }),
};

export const automation = {
  killSwitch: (signal?: AbortSignal) => get<{ on: boolean }>('/kill-switch', signal),
  setKillSwitch: (on: boolean) => put<{ on: boolean }>('/kill-switch', { on }),
  detectors: (signal?: AbortSignal) => list<DetectorSummary>('/detectors', {}, signal),
  setDetector: (detector: string, value: { enabled: boolean }) =>
    put<DetectorSummary>(`/detectors/${id(detector)}`, value),
  runbooks: (signal?: AbortSignal) => list<RunbookSummary>('/runbooks', {}, signal),
  setMode: (runbook: string, mode: RunbookMode) =>
    put<RunbookSummary>(`/runbooks/${id(runbook)}`, { mode }),
};
