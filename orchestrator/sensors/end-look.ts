/**
 * The end of a look: the runs that it asks for, its cursor and its state in one transaction, under the sensor's lock
 * and its token. Runs have keys, so that a look which is taken twice makes each once; what cannot be made fails the
 * whole look, and nothing of it counts.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { LookEnd, LookEndReply, SensorRun } from '../../domain/sensor.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import { isToken } from '../runs/identifiers.ts';
import type { Parameters } from '../runs/parameters.ts';
import type { AnnounceRuns, CreatedRun, CreateRuns, RunRequest } from '../runs/trigger.ts';
import type { Db, Tx } from '../store/connection.ts';
import { type RunnableWorkflow, readRunnable } from '../store/run-workflow.ts';
import { endLook, failEvents, finishEvents, lockHeld, type SensorRow } from '../store/sensor.ts';

export interface EndLookDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly parameters: Parameters;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
}

const MAX_RUNS = 1_000;
const MAX_KEY = 400;
const MAX_STATE_CHARACTERS = 262_144;
const MAX_CURSOR = 100_000;
const LAST_RUNS = 10;
const LONGEST_BACKOFF_MS = 300_000;
const DOUBLINGS = 10;
/** Looks that an event may fail before it is set aside. */
const EVENT_ATTEMPTS = 5;

export async function recordLook(deps: EndLookDeps, end: LookEnd): Promise<LookEndReply> {
  if (!isToken(end.token)) return { outcome: 'lease-lost' };
  if (end.error) return failLook(deps, end, end.error);
  try {
    const made = await deps.db.transaction(async (tx) => {
      const row = await lockHeld(tx, end.sensor, end.token);
      if (!row) return null;
      const created = await deps.createRuns(tx, await toRequests(deps, tx, row, end));
      await finishEvents(tx, row.name, end.eventIds.filter(isToken));
      await endLook(tx, row.name, {
        cursor: end.cursor === undefined ? row.cursor : end.cursor,
        state: end.state === undefined ? row.state : end.state,
        ...{ error: null, failures: 0, nextInMs: row.every_ms },
        skipReason: end.skipReason ?? null,
        lastRuns: lastRunsOf(row, created, end.runs ?? []),
      });
      return created;
    });
    if (made === null) return { outcome: 'lease-lost' };
    deps.announceRuns(made);
    return { outcome: 'recorded' };
  } catch (error) {
    if (!(error instanceof SignalboxError)) throw error;
    const detail = error.detail ?? error.message;
    const failed = await failLook(deps, end, { name: 'SensorRefused', message: detail });
    return failed.outcome === 'recorded' ? { outcome: 'refused', detail } : failed;
  }
}

/** Nothing of the look counts; the next one comes later each time. */
async function failLook(
  deps: EndLookDeps,
  { sensor, token, eventIds }: LookEnd,
  error: NonNullable<LookEnd['error']>,
): Promise<LookEndReply> {
  const found = await deps.db.transaction(async (tx) => {
    const row = await lockHeld(tx, sensor, token);
    if (!row) return false;
    const failures = row.failures + 1;
    const delayMs = row.every_ms * 2 ** Math.min(DOUBLINGS, failures - 1);
    const text = `${error.name}: ${error.message}`;
    await failEvents(tx, sensor, eventIds.filter(isToken), text, EVENT_ATTEMPTS);
    await endLook(tx, sensor, {
      ...{ cursor: row.cursor, state: row.state, error, failures },
      ...{ skipReason: null, lastRuns: row.last_runs },
      nextInMs: Math.max(row.every_ms, Math.min(LONGEST_BACKOFF_MS, delayMs)),
    });
    return true;
  });
  return { outcome: found ? 'recorded' : 'lease-lost' };
}

/** @throws SignalboxError that says which run cannot be made, and why */
async function toRequests(
  deps: EndLookDeps,
  tx: Tx,
  row: SensorRow,
  { runs = [], cursor, state }: LookEnd,
): Promise<readonly RunRequest[]> {
  if (runs.length > MAX_RUNS) {
    throw new SignalboxError(
      'invalid-request',
      `a look asks for at most ${MAX_RUNS} runs, and this one for ${runs.length}: give the rest with the next look`,
    );
  }
  if ((cursor?.length ?? 0) > MAX_CURSOR) {
    throw new SignalboxError('invalid-request', `a cursor has at most ${MAX_CURSOR} characters`);
  }
  if ((JSON.stringify(state) ?? '').length > MAX_STATE_CHARACTERS) {
    throw new SignalboxError(
      'invalid-request',
      `a state has at most ${MAX_STATE_CHARACTERS} characters`,
    );
  }
  const names = runs.flatMap((run) => run.workflow ?? row.triggers ?? []);
  const workflows = await readRunnable(tx, names);
  return runs.map((run, index) => {
    try {
      return toRequest(deps, row, run, workflows);
    } catch (error) {
      if (!(error instanceof SignalboxError)) throw error;
      throw new SignalboxError(error.code, `run ${index + 1}: ${error.detail ?? error.message}`);
    }
  });
}

function toRequest(
  deps: EndLookDeps,
  row: Pick<SensorRow, 'name' | 'triggers'>,
  run: SensorRun,
  workflows: ReadonlyMap<string, RunnableWorkflow>,
): RunRequest {
  const name = run.workflow ?? row.triggers;
  if (name === null) {
    throw new SignalboxError(
      'invalid-request',
      'names no workflow, and the sensor has no `triggers`',
    );
  }
  const workflow = workflows.get(name);
  if (!workflow || workflow.kind === 'asset' || workflow.kind === 'system') {
    throw new SignalboxError('not-found', `there is no workflow ${JSON.stringify(name)}`);
  }
  if (typeof run.key !== 'string' || run.key === '' || run.key.length > MAX_KEY) {
    throw new SignalboxError('invalid-request', `its key has 1 to ${MAX_KEY} characters`);
  }
  const logicalDate = run.logicalDate === undefined ? null : Date.parse(run.logicalDate);
  if (Number.isNaN(logicalDate)) {
    throw new SignalboxError('invalid-time', `${JSON.stringify(run.logicalDate)} is not valid`);
  }
  return {
    workflow: name,
    versionId: workflow.versionId,
    maxActiveRuns: workflow.maxActiveRuns,
    parameters: deps.parameters.check(workflow.parameters, run.parameters ?? {}),
    trigger: 'sensor',
    logicalDate,
    priority: run.priority ?? 0,
    idempotencyKey: `sensor:${row.name}:${run.key}`,
    origin: { kind: 'sensor', sensor: row.name, key: run.key },
  };
}

/** Starts the run that an event of a push sensor asks for. */
export async function pushRun(
  deps: EndLookDeps,
  tx: Tx,
  row: SensorRow,
  run: SensorRun,
): Promise<CreatedRun> {
  const workflows = await readRunnable(tx, row.triggers === null ? [] : [row.triggers]);
  const [made] = await deps.createRuns(tx, [toRequest(deps, row, run, workflows)]);
  if (!made) throw new Error('a trigger made no run');
  return made;
}

function lastRunsOf(
  row: SensorRow,
  created: readonly CreatedRun[],
  asked: readonly SensorRun[],
): SensorRow['last_runs'] {
  const fresh = created.flatMap(({ run, created: isNew }, index) =>
    isNew
      ? [
          {
            ...{ runId: run.id, workflow: run.workflow, key: asked[index]?.key ?? '' },
            at: toRfc3339(Date.parse(run.createdAt)) ?? '',
          },
        ]
      : [],
  );
  return [...fresh.reverse(), ...row.last_runs].slice(0, LAST_RUNS);
}
