/** Deadlines as people ask for them: what was missed, and what is to come. */
import type { Deadline } from '../../domain/deadline.ts';
import { ALL_ENVIRONMENTS, listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import { isUuid } from '../runs/identifiers.ts';
import { readRun } from '../runs/read.ts';
import type { Versions } from '../runs/versions.ts';
import type { Page, PageQuery } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { listPending, type PendingRow } from '../store/deadline.ts';
import { listMisses, type MissRow } from '../store/deadline-miss.ts';

export interface DeadlineQuery extends PageQuery {
  readonly workflow?: string;
  /**
   * `true`: what was missed, the newest first; unless told. `open`: of these what has not ended. `false`: what is to
   * come, the next one first, one page of it.
   */
  readonly missed?: 'true' | 'open' | 'false';
}

export interface DeadlineService {
  list(query: DeadlineQuery): Promise<Page<Deadline>>;
  /** Of one run: what was missed, then what is to come; at most 1,000 of each. */
  ofRun(runId: string): Promise<readonly Deadline[]>;
}

const MAX = 1_000;

export function createDeadlineService(db: Db, versions: Versions): DeadlineService {
  const pending = async (query: Parameters<typeof listPending>[1]) => {
    const rows = await listPending(db, query);
    await versions.load(
      db,
      rows.map((row) => row.version_id),
    );
    return rows.flatMap((row) => toPending(row, versions) ?? []);
  };
  return {
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const { workflow = null, missed = 'true' } = query;
      const prefix = workflow === null ? listPrefix(query.environment) : ALL_ENVIRONMENTS;
      if (missed === 'false') {
        const of = { workflow, runId: null, limit, prefix };
        return { items: await pending(of), nextCursor: null };
      }
      if (after !== null && !/^\d{1,18}$/.test(after)) throw new SignalboxError('invalid-cursor');
      const rows = await listMisses(db, {
        ...{ workflow, runId: null, open: missed === 'open', before: after, limit: limit + 1 },
        prefix,
      });
      return toPage(rows, limit, ({ id }) => id, toMissed);
    },
    async ofRun(id) {
      if (!isUuid(id)) throw new SignalboxError('not-found', `there is no run ${id}`);
      const { id: runId } = await readRun(db, id);
      const of = { workflow: null, runId, limit: MAX, prefix: ALL_ENVIRONMENTS };
      const misses = await listMisses(db, { ...of, open: false, before: null });
      return [...misses.map(toMissed), ...(await pending(of))];
    },
  };
}

function toMissed(row: MissRow): Deadline {
  return {
    state: 'missed',
    id: row.id,
    workflow: row.workflow,
    runId: row.run_id,
    taskKey: row.task_key,
    name: row.name,
    logicalDate: toRfc3339(row.logical_date),
    dueAt: row.due_at.toISOString(),
    onMiss: row.on_miss,
    missed: {
      noticedAt: row.noticed_at.toISOString(),
      reason: row.reason,
      blockers: row.blockers,
      detail: row.detail,
      endedAt: toRfc3339(row.ended_at),
      endState: row.end_state,
      actedAt: toRfc3339(row.acted_at),
      actionError: row.action_error,
    },
  };
}

function toPending(row: PendingRow, versions: Versions): Deadline | null {
  const deadline = versions.get(row.version_id)?.deadlines[row.place];
  if (!deadline) return null;
  return {
    state: 'pending',
    id: `${row.run_id}:${row.place}`,
    workflow: row.workflow,
    runId: row.run_id,
    taskKey: deadline.task ?? null,
    name: deadline.name,
    logicalDate: toRfc3339(row.logical_date),
    dueAt: row.due_at.toISOString(),
    onMiss: deadline.onMiss,
    missed: null,
  };
}
