/**
 * Makes what is due of claimed schedules, inside of the transaction that holds their rows: the runs, what is known
 * of those that are not made (`expected_run`), which runs wait for earlier ones, which are replaced, and the next run
 * of each schedule. Either all of it is there after a crash, or none.
 */
import { businessKey, type RunError } from '../../domain/run.ts';
import type { ExpectedReason } from '../../domain/schedule.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { collectChanges } from '../events/changes.ts';
import type { CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { Tx } from '../store/connection.ts';
import { type ExpectedRecord, insertExpected } from '../store/expected-run.ts';
import { insertRuns } from '../store/run-insert.ts';
import {
  insertHolds,
  insertSuperseded,
  readPast,
  readUnended,
  setSkipped,
} from '../store/run-overlap.ts';
import { type DueRow, type NextRun, setNextRuns } from '../store/schedule.ts';
import { dueAt, type Interval } from './cron.ts';
import { type Due, dueContinuously, dueIntervals } from './due.ts';
import { appendMissed } from './missed-events.ts';
import { decideOverlap, needsUnended, type OverlapDecision } from './overlap.ts';

/** Intervals of one schedule that are caught up on in one transaction; the rest follows at once. */
const CATCHUP_AT_ONCE = 50;
/** Rows that one look writes for what was passed over of a schedule; the last one stands for all before. */
const PASSED_OVER_AT_ONCE = 200;

export interface MakeDueDeps {
  readonly createRuns: CreateRuns;
  newId(): string;
  defaultParameters(schema: Readonly<Record<string, unknown>> | null): Record<string, unknown>;
  log(message: string): void;
}

export interface Made {
  readonly created: readonly CreatedRun[];
  /** Runs that are there, but skipped. */
  readonly skipped: readonly string[];
  /** Whether runs are to be cancelled, since newer ones replace them. */
  readonly supersedes: boolean;
  /** Whether more is due of these schedules. */
  readonly more: boolean;
}

interface Decided {
  readonly row: DueRow;
  readonly due: Due;
  readonly decision: OverlapDecision;
}

/** @param rows locked in `tx` */
export async function makeDue(
  tx: Tx,
  deps: MakeDueDeps,
  rows: readonly DueRow[],
  now: EpochMs,
): Promise<Made> {
  if (rows.length === 0) return { created: [], skipped: [], supersedes: false, more: false };
  const decided = await decide(tx, deps, rows, now);
  const { created, requests } = await makeRuns(tx, deps, decided, now);
  const skipped = await skipRuns(tx, deps, decided, now);
  const ids = new Map(
    requests.map(({ workflow, logicalDate }, index) => [
      `${workflow}\n${logicalDate}`,
      created[index]?.run.id ?? null,
    ]),
  );
  const pairs = supersededBy(decided, ids);
  await insertSuperseded(tx, pairs);
  const expected = expectedOf(decided, ids, skipped);
  await insertExpected(tx, expected, now);
  await appendMissed(tx, expected, now);
  await setNextRuns(
    tx,
    decided.map(({ row, due }) => nextRunOf(row, due.next)),
  );
  return {
    created,
    skipped: [...skipped.values()],
    supersedes: pairs.length > 0,
    more: decided.some(
      ({ row, due }) => due.next !== null && dueAt(row.name, row.schedule, due.next) <= now,
    ),
  };
}

/** The columns of a schedule's next run. */
export function nextRunOf(row: Pick<DueRow, 'name' | 'schedule'>, next: Interval | null): NextRun {
  return {
    name: row.name,
    next_run_at: next && toRfc3339(dueAt(row.name, row.schedule, next)),
    next_logical_date: next && toRfc3339(next.start),
    next_interval_end: next && toRfc3339(next.end),
  };
}

async function decide(
  tx: Tx,
  deps: MakeDueDeps,
  rows: readonly DueRow[],
  now: EpochMs,
): Promise<readonly Decided[]> {
  const asking = rows.filter((row) => needsUnended(row.schedule)).map(({ name }) => name);
  const unended = asking.length === 0 ? null : await readUnended(tx, asking);
  return rows.map((row) => {
    const { schedule, max_active_runs: limit } = row;
    const goesOn = (unended?.get(row.name)?.scheduled.length ?? 0) > 0;
    const due = dueOf(row, now, goesOn, deps.log);
    const decision = decideOverlap(schedule, limit, due.intervals, unended?.get(row.name));
    return { row, due, decision };
  });
}

function dueOf(row: DueRow, now: EpochMs, goesOn: boolean, log: (message: string) => void): Due {
  const { schedule } = row;
  const end = row.next_interval_end ?? row.next_run_at;
  const from = { start: row.next_logical_date.getTime(), end: end.getTime() };
  try {
    if (schedule.continuous) {
      const until = schedule.endDate === undefined ? now : Date.parse(schedule.endDate);
      return dueContinuously(from, now, goesOn, until);
    }
    return dueIntervals({
      ...{ workflow: row.name, schedule, now, from },
      ...{ limit: CATCHUP_AT_ONCE, passedOverLimit: PASSED_OVER_AT_ONCE },
    });
  } catch (error) {
    // Registration lets no such schedule in; were there one, the others must go on.
    log(
      `the schedule of ${row.name} cannot be read: ${error instanceof Error ? error.message : error}`,
    );
    return { intervals: [], passedOver: [], next: null };
  }
}

async function makeRuns(
  tx: Tx,
  deps: MakeDueDeps,
  decided: readonly Decided[],
  now: EpochMs,
): Promise<{ created: readonly CreatedRun[]; requests: readonly RunRequest[] }> {
  const past = await readPast(
    tx,
    decided.flatMap(({ row, decision }) => {
      const [first] = decision.run;
      return first && row.schedule.dependsOnPast === true
        ? [{ workflow: row.name, before: first.start }]
        : [];
    }),
  );
  const requests = decided.flatMap(({ row, decision }) => {
    const parameters = deps.defaultParameters(row.parameters);
    return decision.run.map((interval, index) => ({
      ...requestOf(row, interval, parameters),
      hold:
        row.schedule.dependsOnPast === true &&
        (index > 0 || past.get(row.name)?.succeeded === false),
    }));
  });
  const created = requests.length === 0 ? [] : await deps.createRuns(tx, requests);
  await insertHolds(tx, holdsOf(requests, created, past), now);
  return { created, requests };
}

/** A run waits for the one before it in its batch, the first one for the last that was made earlier. */
function holdsOf(
  requests: readonly RunRequest[],
  created: readonly CreatedRun[],
  past: ReadonlyMap<string, { runId: string }>,
): { runId: string; workflow: string; afterRunId: string }[] {
  return requests.flatMap(({ workflow, hold }, index) => {
    const made = created[index];
    if (!hold || !made?.created) return [];
    const before = requests[index - 1]?.workflow === workflow ? created[index - 1]?.run.id : null;
    const afterRunId = before ?? past.get(workflow)?.runId;
    return afterRunId === undefined ? [] : [{ runId: made.run.id, workflow, afterRunId }];
  });
}

function requestOf(
  row: DueRow,
  { start, end }: Interval,
  parameters: Readonly<Record<string, unknown>>,
): RunRequest {
  const dataInterval = { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
  return {
    workflow: row.name,
    versionId: row.version_id,
    maxActiveRuns: row.max_active_runs,
    parameters,
    trigger: 'schedule',
    logicalDate: start,
    dataInterval,
    idempotencyKey: `schedule:${dataInterval.start}`,
  };
}

/**
 * Writes runs in state `skipped`, so that who looks for the run of a date finds it, with the reason.
 * @returns their ids by workflow and logical date
 */
async function skipRuns(
  tx: Tx,
  deps: MakeDueDeps,
  decided: readonly Decided[],
  now: EpochMs,
): Promise<ReadonlyMap<string, string>> {
  const drafts = decided.flatMap(({ row, decision }) => {
    const parameters = deps.defaultParameters(row.parameters);
    return decision.skip.map((skip) => {
      const request = requestOf(row, skip, parameters);
      const error: RunError = { name: skip.reason, message: skip.message };
      return { id: deps.newId(), request, state: 'skipped', error, businessKey: keyOf(request) };
    });
  });
  if (drafts.length === 0) return new Map();
  const inserted = await insertRuns(tx, drafts, now);
  const fresh = drafts.filter(({ id }) => inserted.has(id));
  await setSkipped(
    tx,
    fresh.map(({ id, error }) => ({ runId: id, error })),
  );
  const changes = collectChanges(now);
  for (const { id, error } of fresh) {
    changes.run(id, { state: 'skipped', finishedAt: now, error });
  }
  await changes.append(tx);
  return new Map(
    fresh.map(({ id, request }) => [`${request.workflow}\n${request.logicalDate}`, id]),
  );
}

function keyOf({ workflow, dataInterval, parameters }: RunRequest): string {
  return businessKey({
    ...{ engine: 'signalbox', job: workflow, parameters },
    logicalDate: dataInterval?.start ?? null,
  });
}

function supersededBy(
  decided: readonly Decided[],
  ids: ReadonlyMap<string, string | null>,
): { runId: string; byRunId: string }[] {
  return decided.flatMap(({ row, decision }) => {
    const last = decision.run.at(-1);
    const byRunId = last && ids.get(`${row.name}\n${last.start}`);
    if (!byRunId) return [];
    return decision.supersede.flatMap((runId) => (runId === byRunId ? [] : [{ runId, byRunId }]));
  });
}

function expectedOf(
  decided: readonly Decided[],
  ids: ReadonlyMap<string, string | null>,
  skipped: ReadonlyMap<string, string>,
): ExpectedRecord[] {
  return decided.flatMap(({ row, due, decision }) => {
    const record = (interval: Interval) => ({
      workflow: row.name,
      logicalDate: interval.start,
      intervalEnd: interval.end,
      dueAt: dueAt(row.name, row.schedule, interval),
      since: null,
    });
    const idOf = (from: ReadonlyMap<string, string | null>, { start }: Interval) =>
      from.get(`${row.name}\n${start}`) ?? null;
    return [
      ...decision.run.map((one): ExpectedRecord => {
        return { ...record(one), outcome: 'run', runId: idOf(ids, one), reason: null };
      }),
      ...decision.skip.map((one): ExpectedRecord => {
        const runId = idOf(skipped, one);
        return { ...record(one), outcome: 'skipped', runId, reason: one.reason };
      }),
      ...due.passedOver.map((one): ExpectedRecord => {
        return { ...record(one), ...passedOver(row, one), runId: null, since: one.since };
      }),
    ];
  });
}

/** What was passed over while the workflow was paused was not missed. */
function passedOver(
  row: DueRow,
  { end, reason }: Due['passedOver'][number],
): { outcome: ExpectedRecord['outcome']; reason: ExpectedReason } {
  if (reason === 'catchup-limit') return { outcome: 'dropped', reason };
  const from = row.paused_at?.getTime() ?? Number.POSITIVE_INFINITY;
  const until = row.unpaused_at?.getTime() ?? Number.POSITIVE_INFINITY;
  if (end >= from && (until < from || end <= until))
    return { outcome: 'skipped', reason: 'paused' };
  return { outcome: 'missed', reason };
}
