/**
 * What is kept for how long, by kind. A kind is what people think of as one thing: a run goes with its attempts,
 * steps, results and logs; an incident with its timeline and what was done about it.
 */

const DAY_MS = 86_400_000;

export interface RetentionKind {
  readonly kind: string;
  readonly what: string;
  /** How long it is kept unless somebody sets something else; null for ever. */
  readonly defaultMs: number | null;
  /** Shorter is refused. */
  readonly leastMs: number;
  readonly in: 'postgresql' | 'clickhouse';
}

const inPostgres = (kind: string, days: number, what: string, leastDays = 1): RetentionKind => ({
  ...{ kind, what, defaultMs: days * DAY_MS, leastMs: leastDays * DAY_MS, in: 'postgresql' },
});
const inClickHouse = (kind: string, days: number, what: string): RetentionKind => ({
  ...{ kind, what, defaultMs: days * DAY_MS, leastMs: DAY_MS, in: 'clickhouse' },
});

export const RETENTION_KINDS: readonly RetentionKind[] = [
  inPostgres(
    'runs',
    90,
    'ended runs with their attempts, steps and results; counted from their end',
  ),
  inPostgres('once-keys', 365, 'results of ctx.once; work under a forgotten key is done again', 7),
  inPostgres('materializations', 400, 'versions of assets that are no longer the newest'),
  inPostgres('check-results', 400, 'what checks said; the latest word of each stays'),
  inPostgres('observations', 400, 'observations of data made elsewhere; the newest stays'),
  inPostgres('expected-runs', 90, 'runs that schedules called for, and what became of them'),
  inPostgres('deadline-misses', 400, 'what was late and why; what is still late stays'),
  inPostgres('callbacks', 90, 'callbacks and webhooks that were called, and what became of them'),
  inPostgres('cached-results', 365, 'cached results that have no time of their own'),
  inPostgres(
    'workflow-versions',
    90,
    'graphs of versions that no workflow has any more and no run that is kept was made of',
  ),
  inPostgres(
    'automation-evaluations',
    90,
    'looks of automation that found something else than the one before; the latest stays',
  ),
  inPostgres('agent-sessions', 7, 'ended sessions of agents'),
  inPostgres(
    'sensor-events',
    7,
    'events that sensors are done with; their keys are forgotten with them',
  ),
  inPostgres('flow-events', 30, 'events that flows wait for'),
  inPostgres('backfills', 400, 'ended backfills with their items'),
  inPostgres('incidents', 400, 'resolved incidents with their timelines and executions'),
  inPostgres('audit', 400, 'the audit trail', 90),
  inClickHouse('traces', 30, 'spans'),
  inClickHouse('logs', 30, 'log lines, of tasks too'),
  inClickHouse('metrics', 30, 'metrics'),
  inClickHouse('samples', 30, 'heartbeats, and samples of connection pools'),
  inClickHouse(
    'run-events',
    400,
    'what became of runs and tasks, as detectors and back-tests read it',
  ),
  inClickHouse('asset-events', 400, 'what became of assets, and lineage events'),
  inClickHouse('incident-events', 400, 'timelines of incidents, copied'),
];

/** What bounds tables that no kind does. */
const DEFINITIONS = 'as many rows as code defines or people set';
const UNFINISHED = 'rows of what has not ended';
const MINUTES = 'rows that go within minutes';
const DATA = 'as many rows as there are assets, partitions and edges between them';
const FIXED = 'a fixed number of rows';

/** What bounds each table in PostgreSQL: the kind that it is deleted with, or why it needs none. */
export const TABLES_KEPT: Readonly<Record<string, string>> = {
  ...{ run: 'runs', run_origin: 'runs', run_partition: 'runs', run_action: 'runs' },
  ...{ task_log: 'runs', step_log: 'runs', flow_wait: 'runs', artifact: 'runs' },
  ...{ result_cache_hit: 'runs', deadline: 'runs', subflow_wait: 'runs' },
  ...{ run_hold: 'runs', run_superseded: 'runs', run_key: 'runs' },
  ...{ once_key: 'once-keys', materialization: 'materializations' },
  ...{ asset_check_result: 'check-results', asset_observation: 'observations' },
  ...{ expected_run: 'expected-runs', deadline_miss: 'deadline-misses', callback: 'callbacks' },
  ...{ result_cache: 'cached-results', workflow_version: 'workflow-versions' },
  ...{ agent_session: 'agent-sessions', workflow_file_error: 'agent-sessions' },
  definition_set: 'a day after the last session that has it is gone',
  ...{ sensor_event: 'sensor-events', flow_event: 'flow-events' },
  ...{ backfill: 'backfills', backfill_item: 'backfills' },
  ...{ incident: 'incidents', incident_event: 'incidents', execution: 'incidents' },
  audit: 'audit',
  event_batch: 'an hour after it was copied to ClickHouse, seven days where nobody copies',
  ...{ run_live: UNFINISHED, task_live: UNFINISHED, workflow_on_queued: UNFINISHED },
  ...{ gate_due: MINUTES, task_revoked: MINUTES, login_code: MINUTES, web_session: MINUTES },
  ...{ workflow: DEFINITIONS, workflow_on: DEFINITIONS, workflow_on_met: DEFINITIONS },
  ...{ workflow_code: DEFINITIONS },
  ...{ workflow_callback: DEFINITIONS, workflow_deadline: DEFINITIONS, sensor: DEFINITIONS },
  ...{ pool: DEFINITIONS, queue: DEFINITIONS, label_set: DEFINITIONS, api_token: DEFINITIONS },
  ...{ pool_named: DEFINITIONS },
  ...{ asset_check_definition: DEFINITIONS, detector_setting: DEFINITIONS },
  ...{ runbook_mode: DEFINITIONS, detector_round: DEFINITIONS, retention: DEFINITIONS },
  ...{ asset: DATA, asset_edge: DATA, asset_task: DATA, asset_check: DATA },
  ...{ asset_partition: DATA, dynamic_partition: DATA },
  ...{ follower: FIXED, lineage_epoch: FIXED, retention_round: FIXED, reconciler_lease: FIXED },
  ...{ kill_switch: FIXED, migration: FIXED },
  ...{ asset_automation: DEFINITIONS, automation_state: DATA, automation_pause: FIXED },
  automation_evaluation: 'automation-evaluations',
  ...{ environment: DEFINITIONS, environment_definition: DEFINITIONS, environment_read: 'runs' },
};

/** What retention does about a kind. */
export interface RetentionPolicy extends RetentionKind {
  /** Null for ever. */
  readonly keepMs: number | null;
  /** Null where the default holds. */
  readonly setBy: string | null;
  readonly setAt: string | null;
  readonly last: RetentionRound | null;
}

/** The newest round of a kind. */
export interface RetentionRound {
  readonly at: string;
  /** Rows that went in it; of runs, runs. */
  readonly deleted: number;
  /** Since the beginning. */
  readonly deletedEver: number;
  readonly tookMs: number;
  readonly error: string | null;
}

/** A table as `db status` shows it. */
export interface TableStatus {
  readonly table: string;
  /** Parts that it is made of, where it is partitioned by time. */
  readonly partitions: number;
  /** With indexes and what lies outside the rows. */
  readonly bytes: number;
  /** As statistics have them, not counted. */
  readonly rows: number;
  readonly deadRows: number;
  /** Null where rows have no time, or there are none. */
  readonly oldest: string | null;
  readonly lastAutovacuum: string | null;
  /** The kind that bounds it, or what does. */
  readonly kept: string;
}
