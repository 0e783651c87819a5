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
}
