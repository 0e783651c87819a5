/** Callbacks as people ask for them: what was called for by a run, and what became of it. */
import type { CallbackRecord } from '../../domain/callback.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { readRun } from '../runs/read.ts';
import { type CallbackRow, listCallbacks } from '../store/callback.ts';
import type { Db } from '../store/connection.ts';

export interface CallbackService {
  /** Callbacks of a run and its tasks, the oldest first; at most 1,000. */
  ofRun(runId: string): Promise<readonly CallbackRecord[]>;
}

const MAX = 1_000;

export function createCallbackService(db: Db): CallbackService {
  return {
    async ofRun(id) {
      const { id: runId } = await readRun(db, id);
      return (await listCallbacks(db, runId, MAX)).map(toRecord);
    },
  };
}

function toRecord(row: CallbackRow): CallbackRecord {
  const isCode = row.callback_run_id !== null;
  const error = row.run_error && `${row.run_error.name}: ${row.run_error.message}`;
  return {
    key: row.key,
    callback: row.callback,
    outcome: row.event.outcome,
    task: row.event.task,
    kind: row.url === null ? 'code' : 'webhook',
    state: isCode ? stateOf(row.run_state) : row.state,
    attempts: isCode ? row.run_attempts : row.attempts,
    error: isCode ? error : row.error,
    callbackRunId: row.callback_run_id,
    url: row.url && new URL(row.url).origin,
    createdAt: row.created_at.toISOString(),
    endedAt: toRfc3339(isCode ? row.run_finished_at : row.ended_at),
  };
}

function stateOf(runState: string | null): CallbackRecord['state'] {
  if (runState === 'succeeded') return 'succeeded';
  if (runState === 'scheduled' || runState === 'queued' || runState === null) return 'pending';
  return runState === 'running' || runState === 'retrying' ? 'running' : 'failed';
}
