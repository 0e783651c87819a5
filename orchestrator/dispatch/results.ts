/** Results of tasks as other tasks of the run read them; of a mapped task the array of what its items gave. */
import type { ResultReply } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { expandVersion, expansionOf } from '../runs/expansion.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import {
  type RunVector,
  readResultBytes,
  readTaskResult,
  readTaskResults,
  readVector,
} from '../store/run-tasks.ts';
import { isEnded, PENDING, SUCCEEDED, taskStateOf } from './task-codes.ts';

/** What one answer holds at most, as PostgreSQL stores it. */
const MAX_BYTES = 67_108_864;
/** A result has at most a mebibyte: so many are surely no more than an answer holds. */
const FEW = 64;

/** @throws SignalboxError `not-found`; `body-too-large` where the items of a mapped task gave too much together */
export async function readResult(
  deps: { readonly db: Db; readonly infos: RunInfos },
  runId: string,
  key: string,
): Promise<ResultReply> {
  const { db, infos } = deps;
  await infos.loadTasks(db, [{ runId, task: key }]);
  const known = infos.get(runId)?.version;
  const task = known?.indexOf.get(key);
  if (known === undefined || task === undefined) {
    throw new SignalboxError('not-found', `there is no task ${key}`);
  }
  if (known.tasks[task]?.map) {
    const run = await readVector(db, runId);
    const version = expandVersion(known, run?.expanded ?? null);
    const [, first, count] = expansionOf(version, task) ?? [task, -1, 0];
    return readMapped(db, runId, { run, key, task, first, count });
  }
  const found = await readTaskResult(db, runId, task);
  if (found) return { state: 'succeeded', result: found.result };
  return { state: taskStateOf(codeIn(await readVector(db, runId), task)), result: null };
}

/** Result of a run whose last task is a mapped one, which is not kept with the run; null for others. */
export async function readMappedResult(
  deps: { readonly db: Db; readonly infos: RunInfos },
  runId: string,
): Promise<unknown> {
  await deps.infos.load(deps.db, [runId]);
  const version = deps.infos.get(runId)?.version;
  const last = version?.tasks[version.last];
  return last?.map ? (await readResult(deps, runId, last.key)).result : null;
}

async function readMapped(
  db: Db,
  runId: string,
  mapped: {
    readonly run: RunVector | undefined;
    readonly key: string;
    readonly task: number;
    readonly first: number;
    readonly count: number;
  },
): Promise<ResultReply> {
  const { run, key, task, first, count } = mapped;
  const code = codeIn(run, task);
  if (!isEnded(code) || first < 0) return { state: taskStateOf(code), result: null };
  if (count > FEW && (await readResultBytes(db, runId, first, count)) > MAX_BYTES) {
    const advice = 'store what the items give elsewhere and return its address';
    throw new SignalboxError('body-too-large', `the results of ${key} are too large: ${advice}`);
  }
  const rows = await readTaskResults(db, runId, first, count);
  const result = rows.flatMap((row) =>
    codeIn(run, row.task) === SUCCEEDED ? [row.result ?? null] : [],
  );
  return { state: taskStateOf(code), result };
}

function codeIn(run: RunVector | undefined, task: number): number {
  return run?.tasks?.[task] ?? (run?.state === 'active' ? PENDING : SUCCEEDED);
}
