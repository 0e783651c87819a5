/**
 * Runs that do the same piece of work twice. Two runs with one business key are duplicates where both were
 * alive at the same time, or both took effect; two days of a schedule, a retry, a deliberate run after a failure
 * are not. A run without parameters and without a logical date has no business identity: nothing says that
 * two of them are the same work. The surplus of one workflow is one trouble, however many keys it has.
 */
import type { Detector, DetectorContext, Finding, Subject } from '../../domain/finding.ts';
import { type DuplicateGroup, findGroup, readRuns, type SeenRun } from './duplicate-groups.ts';
import { evidenceOf, setting } from './rows.ts';

const ID = { id: 'duplicate-runs', version: '1' } as const;

const DEFAULTS = {
  /** How far back runs are looked at; longer ones are compared from their last event on. */
  lookbackMs: 21_600_000,
  /** Manual runs that succeeded one after the other within this are taken for one request that was sent twice. */
  windowMs: 120_000,
  /** A run of another engine that never told its end counts as alive for this long. */
  openRunLimitMs: 3_600_000,
  /** Longer than for other troubles: whoever asks again for want of an answer does so for a while. */
  holdMs: 20_000,
  verifyLimitMs: 60_000,
} as const;

/**
 * Keys are narrowed down first, so that the lives of runs are put together for those alone. An event of a task
 * is none of the run, hence the empty task key.
 */
const RUNS_SQL = `
WITH suspects AS (
  SELECT business_key
  FROM signalbox.run_events
  WHERE task_key = '' AND at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})
    AND (logical_date IS NOT NULL OR parameters NOT IN ('', '{}', 'null'))
    AND trigger NOT IN ('retry', 'subflow') AND retry_of = ''
  GROUP BY business_key
  HAVING min(run_id) != max(run_id)
  LIMIT 2000
)
SELECT business_key, run_id, any(engine) AS run_engine, any(workflow) AS run_workflow,
       argMax(state, (at, state IN ('succeeded', 'failed', 'cancelled', 'skipped'), length(event_id), event_id)) AS last_state,
       toUnixTimestamp64Milli(min(at)) AS created_ms, toUnixTimestamp64Milli(max(at)) AS last_ms,
       any(trigger) AS run_trigger, any(retry_of) AS retried, any(parameters) AS run_parameters,
       toUnixTimestamp64Milli(any(logical_date)) AS logical_ms
FROM signalbox.run_events
WHERE task_key = '' AND at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})
  AND business_key IN (SELECT business_key FROM suspects)
GROUP BY business_key, run_id
ORDER BY business_key, created_ms, run_id
LIMIT 20000`;

const SEEN_SQL = `
SELECT 1 AS seen FROM signalbox.run_events
WHERE at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})
LIMIT 1`;

/** Detector of runs that do the same work. */
export const duplicateRuns: Detector = {
  ...ID,
  kind: 'duplicate-runs',
  summary: 'Runs with the same business key that live at the same time, or that both took effect',
  defaults: DEFAULTS,
  queries: queriesAt,
  evaluate(answers, context) {
    if ((answers['seen'] ?? []).length === 0) return [nothingSeen()];
    const byKey = new Map<string, SeenRun[]>();
    for (const run of readRuns(answers['runs'] ?? [])) {
      const list = byKey.get(run.businessKey) ?? [];
      byKey.set(run.businessKey, list);
      list.push(run);
    }
    const limits = {
      windowMs: setting(context.settings, 'windowMs'),
      openRunLimitMs: setting(context.settings, 'openRunLimitMs'),
    };
    const byWorkflow = new Map<string, DuplicateGroup[]>();
    for (const runs of byKey.values()) {
      const group = findGroup(runs, limits, context.now);
      if (!group) continue;
      const list = byWorkflow.get(group.workflow) ?? [];
      byWorkflow.set(group.workflow, list);
      list.push(group);
    }
    return [...byWorkflow.values()].map((groups) => toFinding(groups, context));
  },
};

function queriesAt({ now, settings }: DetectorContext) {
  const parameters = { from: now - setting(settings, 'lookbackMs'), to: now };
  return {
    runs: { sql: RUNS_SQL, parameters },
    seen: { sql: SEEN_SQL, parameters },
  };
}

function toFinding(groups: readonly DuplicateGroup[], context: DetectorContext): Finding {
  const { engine, workflow } = groups[0] as DuplicateGroup;
  const runs = groups.flatMap((group) => group.runs);
  const count = runs.length - groups.length;
  const surplus = count === 1 ? '1 surplus run' : `${count} surplus runs`;
  const alive = groups.some((group) => group.alive);
  const keys = groups.length === 1 ? '1 piece of work' : `${groups.length} pieces of work`;
  const subjects: Subject[] = [
    { type: 'workflow', id: workflow },
    ...runs.map((run): Subject => ({ type: 'run', id: run.runId })),
  ];
  return {
    kind: 'duplicate-runs',
    fingerprint: `${ID.id}:${engine}:${workflow}`,
    status: 'firing',
    severity: alive ? 'critical' : 'error',
    title: alive
      ? `${workflow} runs twice: ${surplus} for ${keys}`
      : `${workflow} took effect twice: ${surplus} succeeded for ${keys}`,
    rootCause: `the same work was started more than once: by ${[...new Set(runs.map((run) => run.trigger))].join(', ')}`,
    diagnosis: alive ? 'concurrent' : 'both-took-effect',
    subjects,
    affected: [],
    evidence: [
      evidenceOf(
        ID,
        queriesAt(context).runs,
        runs.map((run) => ({ ...run })),
        context.settings,
      ),
    ],
    since: Math.min(...groups.map((group) => group.since)),
    reason: alive ? 'same-key-alive' : 'same-key-succeeded',
  };
}

function nothingSeen(): Finding {
  return {
    kind: 'duplicate-runs',
    fingerprint: ID.id,
    status: 'unknown',
    severity: 'info',
    title: 'No run has sent an event',
    rootCause: null,
    diagnosis: null,
    subjects: [],
    affected: [],
    evidence: [],
    since: 0,
    reason: 'no-run-events',
  };
}
