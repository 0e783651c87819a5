/** Which runs of one business key are too many. */
import type { QueryRows } from '../../domain/finding.ts';
import { isShared } from '../../domain/shared-workflow.ts';
import { moment, num, text } from './rows.ts';

export interface SeenRun {
  readonly businessKey: string;
  readonly runId: string;
  readonly engine: string;
  readonly workflow: string;
  readonly state: string;
  readonly createdAt: number;
  readonly lastAt: number;
  readonly trigger: string;
  readonly deliberate: boolean;
  readonly hasIdentity: boolean;
  readonly logicalDate: number | null;
}

export interface DuplicateGroup {
  readonly engine: string;
  readonly workflow: string;
  readonly runs: readonly SeenRun[];
  /** Whether one of them has not ended, so that something can still be saved. */
  readonly alive: boolean;
  /** When the second run came into being. */
  readonly since: number;
}

export interface GroupLimits {
  readonly windowMs: number;
  readonly openRunLimitMs: number;
}

const ALIVE = new Set(['scheduled', 'queued', 'running', 'retrying']);
const NO_PARAMETERS = new Set(['', '{}', 'null']);
/** Started on purpose, often one after the other with the same parameters: only living at once is wrong. */
const ON_PURPOSE = new Set(['backfill', 'asset', 'sensor', 'workflow', 'runbook']);

/** Rows of the query as runs. */
export function readRuns(rows: QueryRows): readonly SeenRun[] {
  return rows.map((row) => {
    const logicalDate = row['logical_ms'] === null ? null : moment(row, 'logical_ms');
    const trigger = text(row, 'run_trigger');
    return {
      businessKey: text(row, 'business_key'),
      runId: text(row, 'run_id'),
      engine: text(row, 'run_engine'),
      workflow: text(row, 'run_workflow'),
      state: text(row, 'last_state'),
      createdAt: num(row, 'created_ms'),
      lastAt: num(row, 'last_ms'),
      trigger,
      deliberate: trigger === 'retry' || trigger === 'subflow' || text(row, 'retried') !== '',
      hasIdentity: logicalDate !== null || !NO_PARAMETERS.has(text(row, 'run_parameters').trim()),
      logicalDate,
    };
  });
}

/** The runs of one key that are duplicates of each other, or null. */
export function findGroup(
  all: readonly SeenRun[],
  limits: GroupLimits,
  now: number,
): DuplicateGroup | null {
  const runs = all.toSorted((a, b) => a.createdAt - b.createdAt || (a.runId < b.runId ? -1 : 1));
  const effective = runs.filter(
    (run) => run.hasIdentity && !run.deliberate && isEffective(run, limits, now),
  );
  const members = new Set<SeenRun>();
  let since = Number.POSITIVE_INFINITY;
  for (const [index, second] of effective.entries()) {
    const first = effective
      .slice(0, index)
      .find((earlier) => sameWork(earlier, second, runs, limits));
    if (!first) continue;
    members.add(first).add(second);
    since = Math.min(since, second.createdAt);
  }
  const found = effective.filter((run) => members.has(run));
  const [one] = found;
  if (!one) return null;
  return {
    engine: one.engine,
    workflow: one.workflow,
    runs: found,
    alive: found.some((run) => ALIVE.has(run.state)),
    since,
  };
}

/** Failed, cancelled and skipped runs took no effect; nor is a run alive whose end another engine never told. */
function isEffective(run: SeenRun, limits: GroupLimits, now: number): boolean {
  if (run.state === 'succeeded') return true;
  if (!ALIVE.has(run.state)) return false;
  return run.engine === 'signalbox' || now - run.lastAt <= limits.openRunLimitMs;
}

function isOnPurpose({ trigger, engine, workflow }: SeenRun): boolean {
  return ON_PURPOSE.has(trigger) || (engine === 'signalbox' && isShared(workflow));
}

function sameWork(
  first: SeenRun,
  second: SeenRun,
  all: readonly SeenRun[],
  limits: GroupLimits,
): boolean {
  const overlap = ALIVE.has(first.state) || first.lastAt > second.createdAt;
  if (overlap) return true;
  if (isOnPurpose(first) || isOnPurpose(second)) return false;
  const failedBetween = all.some(
    (run) =>
      (run.state === 'failed' || run.state === 'cancelled') &&
      run.createdAt > first.createdAt &&
      run.createdAt < second.createdAt &&
      run.lastAt <= second.createdAt,
  );
  if (failedBetween) return false;
  const byHand = first.trigger === 'manual' && second.trigger === 'manual';
  if (second.logicalDate !== null && !byHand) return true;
  return second.createdAt - first.createdAt <= limits.windowMs;
}
