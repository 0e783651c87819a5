/**
 * Triggers by hand. Those that come at the same time share a transaction, each with its own answer: a fault of
 * one's parameters is found before, and nothing else of one can fail another.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { DataInterval, RunTrigger } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { HandRuns } from '../dispatch/handing.ts';
import { type CronSchedule, nextInstant } from '../schedule/cron.ts';
import type { TriggerRequest } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { isConflict } from '../store/run-live.ts';
import { type RunnableWorkflow, readRunnable } from '../store/run-workflow.ts';
import type { Parameters } from './parameters.ts';
import type { AnnounceRuns, CreatedRun, CreateRuns, RunRequest } from './trigger.ts';

/** Requests of one workflow, all or nothing. */
export interface Trigger {
  readonly workflow: string;
  readonly requests: readonly TriggerRequest[];
  readonly trigger: RunTrigger;
  readonly parentRunId?: string;
}

export type TriggerRuns = (trigger: Trigger) => Promise<readonly CreatedRun[]>;

/** Runs that one transaction makes for several callers. */
const MAX_SHARED = 5_000;
const MAX_BATCH = 10_000;
const MAX_KEY_LENGTH = 500;
const MAX_PRIORITY = 10_000;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2200, 0, 1);

interface Waiting {
  readonly trigger: Trigger;
  readonly done: (created: readonly CreatedRun[]) => void;
  readonly failed: (error: unknown) => void;
}

interface LaneDeps {
  readonly db: Db;
  readonly parameters: Parameters;
  readonly createRuns: CreateRuns;
  readonly hand: HandRuns;
  readonly announceRuns: AnnounceRuns;
}

export function createTriggerLane(deps: LaneDeps): TriggerRuns {
  const queue: Waiting[] = [];
  let running = false;

  async function work(): Promise<void> {
    while (queue.length > 0) await makeApart(takeBatch(queue));
    running = false;
  }

  /** What fails together is tried once more one by one, so that a fault of one hurts no other. */
  async function makeApart(batch: readonly Waiting[]): Promise<void> {
    try {
      await make(batch);
    } catch (error) {
      const [only] = batch;
      if (batch.length === 1) only?.failed(error);
      else for (const one of batch) await makeApart([one]);
    }
  }

  async function make(batch: readonly Waiting[]): Promise<void> {
    const workflows = await readRunnable(
      deps.db,
      batch.map(({ trigger }) => trigger.workflow),
    );
    const valid: { waiting: Waiting; runs: readonly RunRequest[] }[] = [];
    for (const waiting of batch) {
      try {
        const runs = toRunRequests(waiting.trigger, workflows, deps.parameters);
        valid.push({ waiting, runs });
      } catch (error) {
        waiting.failed(error);
      }
    }
    const created = await makeAll(
      deps,
      valid.flatMap(({ runs }) => runs),
    );
    deps.announceRuns(created);
    let at = 0;
    for (const { waiting, runs } of valid) {
      waiting.done(created.slice(at, at + runs.length));
      at += runs.length;
    }
  }

  return (trigger) =>
    new Promise((done, failed) => {
      queue.push({ trigger, done, failed });
      if (running) return;
      running = true;
      void work();
    });
}

/** With first tasks in the hands of who waits; without where one of those may not have any any more. */
async function makeAll(
  { db, createRuns, hand }: Pick<LaneDeps, 'db' | 'createRuns' | 'hand'>,
  requests: readonly RunRequest[],
): Promise<readonly CreatedRun[]> {
  const handing = await hand.open();
  try {
    const created = await db.transaction((tx) => {
      hand.undone(handing);
      return createRuns(tx, requests, handing);
    });
    hand.committed(handing);
    return created;
  } catch (error) {
    hand.undone(handing);
    if (!isConflict(error)) throw error;
    return db.transaction((tx) => createRuns(tx, requests));
  }
}

/** The first of the queue, and as many more as fit into a transaction with it. */
function takeBatch(queue: Waiting[]): Waiting[] {
  let size = 0;
  const end = queue.findIndex(({ trigger }, index) => {
    size += trigger.requests.length;
    return index > 0 && size > MAX_SHARED;
  });
  return queue.splice(0, end < 0 ? queue.length : end);
}

/** @throws SignalboxError `not-found`, `invalid-request`, `invalid-time`, `invalid-parameters` */
function toRunRequests(
  { workflow: name, requests, trigger, parentRunId }: Trigger,
  workflows: ReadonlyMap<string, RunnableWorkflow>,
  parameters: Parameters,
): readonly RunRequest[] {
  const workflow = workflows.get(name);
  if (!workflow || workflow.kind === 'asset') {
    throw new SignalboxError('not-found', `there is no workflow ${JSON.stringify(name)}`);
  }
  if (requests.length > MAX_BATCH) {
    throw new SignalboxError('invalid-request', `a batch has at most ${MAX_BATCH} runs`);
  }
  return requests.map((request, index) => {
    const place = requests.length === 1 ? '' : `/runs/${index}`;
    checkKey(request, place);
    const logicalDate = readLogicalDate(request.logicalDate, place);
    return {
      workflow: name,
      versionId: workflow.versionId,
      maxActiveRuns: workflow.maxActiveRuns,
      parameters: checkParameters(workflow, request, parameters, place),
      trigger,
      logicalDate,
      dataInterval: logicalDate === null ? null : intervalFrom(workflow.schedule, logicalDate),
      priority: request.priority ?? 0,
      idempotencyKey: request.idempotencyKey ?? null,
      parentRunId: parentRunId ?? null,
      traceparent: request.traceparent ?? null,
    };
  });
}

function checkKey({ idempotencyKey, priority = 0 }: TriggerRequest, place: string): void {
  if (idempotencyKey !== undefined) {
    if (idempotencyKey.length === 0 || idempotencyKey.length > MAX_KEY_LENGTH) {
      throw fault(
        'invalid-request',
        `${place}/idempotencyKey`,
        `has 1 to ${MAX_KEY_LENGTH} characters`,
      );
    }
    if (idempotencyKey.includes('\0')) {
      throw fault('invalid-request', `${place}/idempotencyKey`, 'must not hold U+0000');
    }
  }
  if (!Number.isInteger(priority) || Math.abs(priority) > MAX_PRIORITY) {
    throw fault('invalid-request', `${place}/priority`, `is an integer up to ±${MAX_PRIORITY}`);
  }
}

function checkParameters(
  workflow: RunnableWorkflow,
  request: TriggerRequest,
  parameters: Parameters,
  place: string,
): Record<string, unknown> {
  try {
    return parameters.check(workflow.parameters, request.parameters ?? {});
  } catch (error) {
    if (!(error instanceof SignalboxError) || place === '') throw error;
    const faults = error.errors?.map(({ path, message }) => ({
      path: `${place}/parameters${path}`,
      message,
    }));
    throw new SignalboxError(error.code, `${place}: ${error.detail}`, faults);
  }
}

function readLogicalDate(text: string | undefined, place: string): EpochMs | null {
  if (text === undefined) return null;
  const at = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  if (at >= EARLIEST && at < LATEST) return at;
  throw fault(
    'invalid-time',
    `${place}/logicalDate`,
    `${JSON.stringify(text.slice(0, 40))} is not valid`,
  );
}

/** A run by hand for a date of the schedule is for what the schedule's own run of that date is for. */
function intervalFrom(schedule: CronSchedule | null, start: EpochMs): DataInterval | null {
  const end = schedule && nextInstant(schedule, start);
  if (end === null) return null;
  return { start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

function fault(code: 'invalid-request' | 'invalid-time', path: string, message: string) {
  return new SignalboxError(code, `${path} ${message}`, [{ path, message }]);
}
