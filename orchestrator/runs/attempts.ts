/** The attempts of a task: those in the log, and the one that is ready, waits or runs. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Attempt } from '../../domain/run-control.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { liveStateOf, taskStateOf } from '../dispatch/task-codes.ts';
import type { Db } from '../store/connection.ts';
import { readHits } from '../store/result-cache.ts';
import { type LoggedAttemptRow, readAttempts } from '../store/run-history.ts';
import { readLiveTasks, readVector } from '../store/run-tasks.ts';
import { expandVersion } from './expansion.ts';
import type { RunInfos } from './run-info.ts';
import { indexOfTask } from './select.ts';

/** @throws SignalboxError `not-found` for a run or a task that is not there */
export async function readTaskAttempts(
  { general, infos }: { readonly general: Db; readonly infos: RunInfos },
  runId: string,
  taskKey: string,
): Promise<readonly Attempt[]> {
  await infos.load(general, [runId]);
  const info = infos.get(runId);
  const run = await readVector(general, runId);
  if (!run) throw new SignalboxError('not-found', `there is no run ${runId}`);
  if (!info) return [];
  const task = indexOfTask(expandVersion(info.version, run.expanded), taskKey);
  const [logged, live, hits] = await Promise.all([
    readAttempts(general, runId, task),
    readLiveTasks(general, runId),
    readHits(general, runId, taskKey),
  ]);
  const row = live.find((one) => one.task === task);
  const ended = logged.map((one) => {
    const cachedFrom = hits.get(one.attempt);
    return { ...toAttempt(one), ...(cachedFrom === undefined ? {} : { cachedFrom }) };
  });
  if (!row || ended.some(({ attempt }) => attempt === row.attempt)) return ended;
  const current: Attempt = {
    ...{ attempt: row.attempt, state: liveStateOf(row.state), agent: row.agent },
    ...{ queuedAt: toRfc3339(row.readyAt), startedAt: toRfc3339(row.startedAt) },
    ...{ finishedAt: null, error: null, resultBytes: null },
  };
  return [...ended, current];
}

function toAttempt(row: LoggedAttemptRow): Attempt {
  return {
    ...{ attempt: row.attempt, state: taskStateOf(row.state), agent: row.agent },
    ...{ queuedAt: toRfc3339(row.readyAt), startedAt: toRfc3339(row.startedAt) },
    finishedAt: row.finishedAt.toISOString(),
    ...{ error: row.error, resultBytes: row.resultBytes },
  };
}
