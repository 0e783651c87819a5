/** Backfills as the API and the command line use them, and the background step that carries them on. */
import type {
  Backfill,
  BackfillItem,
  BackfillItemState,
  BackfillPlan,
  BackfillRequest,
} from '../../domain/backfill.ts';
import { BACKFILL_ITEM_STATES, BACKFILL_STATES } from '../../domain/backfill.ts';
import { ALL_ENVIRONMENTS, listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import { isUuid } from '../runs/identifiers.ts';
import { createRunIds } from '../runs/run-id.ts';
import type { BackfillService } from '../service.ts';
import {
  type BackfillItemRow,
  type BackfillRow,
  countItems,
  findBackfill,
  findByKey,
  insertBackfill,
  insertItems,
  listBackfills,
  listItems,
  lockBackfill,
  moveItems,
  setState,
} from '../store/backfill.ts';
import type { Tx } from '../store/connection.ts';
import { type RunnableWorkflow, readRunnable } from '../store/run-workflow.ts';
import type { AdvanceDeps } from './advance.ts';
import { type Planned, planBackfill } from './plan.ts';

const CONCURRENCY = 4;
const MAX_CONCURRENCY = 1_000;
const PRIORITY = -10;
const MAX_PRIORITY = 1_000;

export interface BackfillDeps extends AdvanceDeps {
  /** Carries it on at once. */
  step(id: string): Promise<void>;
}

export function createBackfillService(deps: BackfillDeps): BackfillService {
  const { db, clock } = deps;
  const newId = createRunIds(clock);
  const get = (id: string) => read(db, id);
  return {
    async plan(name, request) {
      const workflow = await findRunnable(db, name);
      const planned = await planBackfill(db, workflow, request, clock.now());
      return toPlan(name, planned);
    },
    async start(name, request, actor) {
      const id = newId();
      const workflow = await findRunnable(db, name);
      const row = toRow(deps, id, workflow, request, actor.name);
      const first = await db.transaction(async (tx) => {
        const planned = await planBackfill(tx, workflow, request, clock.now());
        const { from, to } = planned.range;
        const isNew = await insertBackfill(tx, {
          ...row,
          ...{ from_at: new Date(from), to_at: new Date(to) },
        });
        if (!isNew) return (await findByKey(tx, name, row.idempotency_key ?? '')) ?? id;
        await insertItems(tx, id, planned.items.map(toNewItem));
        return id;
      });
      await deps.step(first);
      return { backfill: await get(first), created: first === id };
    },
    async list(query) {
      const { after, limit } = readPageQuery(query);
      if (after !== null && !isUuid(after)) throw new SignalboxError('invalid-cursor');
      const { workflow = null, state = null } = query;
      if (state !== null && !BACKFILL_STATES.some((known) => known === state)) {
        throw new SignalboxError(
          'invalid-request',
          `state is one of ${BACKFILL_STATES.join(', ')}`,
        );
      }
      const rows = await listBackfills(db, {
        ...{ workflow, state, before: after, limit: limit + 1 },
        prefix: workflow === null ? listPrefix(query.environment) : ALL_ENVIRONMENTS,
      });
      const shown = await withCounts(db, rows);
      return toPage(
        shown,
        limit,
        ({ id }) => id,
        (backfill) => backfill,
      );
    },
    get,
    async items(id, query) {
      const { after, limit } = readPageQuery(query);
      await get(id);
      const from = after === null ? 0 : Number(after);
      if (!Number.isSafeInteger(from)) throw new SignalboxError('invalid-cursor');
      const rows = await listItems(db, id, from, limit + 1);
      return toPage(rows, limit, ({ seq }) => String(seq), toItem);
    },
    ...createChanges(deps, get),
  };
}

/** What people do to a backfill that was started. */
function createChanges(
  deps: BackfillDeps,
  get: BackfillService['get'],
): Pick<BackfillService, 'cancel' | 'pause' | 'resume'> {
  const change = async (id: string, work: (tx: Tx, row: BackfillRow) => Promise<void>) => {
    await deps.db.transaction(async (tx) => {
      const row = isUuid(id) ? await lockBackfill(tx, id, true) : undefined;
      if (!row) throw new SignalboxError('not-found', `there is no backfill ${id.slice(0, 60)}`);
      await work(tx, row);
    });
    await deps.step(id);
    return get(id);
  };
  return {
    cancel: (id) =>
      change(id, async (tx, { state }) => {
        if (state === 'cancelled' || state === 'cancelling') return;
        if (state === 'succeeded') throw refused(state, 'cancelled');
        await setState(tx, id, 'cancelling', null);
      }),
    pause: (id) =>
      change(id, async (tx, { state }) => {
        if (state === 'paused') return;
        if (state !== 'running') throw refused(state, 'paused');
        await setState(tx, id, 'paused', null);
      }),
    resume: (id) =>
      change(id, async (tx, { state }) => {
        if (state === 'running') return;
        if (state === 'succeeded' || state === 'cancelling') throw refused(state, 'resumed');
        await moveItems(tx, id, ['failed', 'cancelled'], 'pending');
        await setState(tx, id, 'running', null);
      }),
  };
}

function refused(state: string, wanted: string): SignalboxError {
  return new SignalboxError('conflict', `a backfill that is ${state} cannot be ${wanted}`);
}

async function findRunnable(tx: Tx, name: string): Promise<RunnableWorkflow> {
  const workflow = (await readRunnable(tx, [name])).get(name);
  if (workflow && workflow.kind !== 'system') return workflow;
  throw new SignalboxError('not-found', `there is no workflow ${JSON.stringify(name)}`);
}

/** @throws SignalboxError `invalid-request`, `invalid-parameters` */
function toRow(
  deps: BackfillDeps,
  id: string,
  workflow: RunnableWorkflow,
  request: BackfillRequest,
  actor: string,
): Omit<BackfillRow, 'finished_at' | 'error' | 'from_at' | 'to_at'> {
  const { concurrency = CONCURRENCY, priority = PRIORITY } = request;
  assertWhole(concurrency, 1, MAX_CONCURRENCY, '/concurrency');
  assertWhole(priority, -MAX_PRIORITY, MAX_PRIORITY, '/priority');
  return {
    id,
    workflow: workflow.name,
    state: 'running',
    run_order: request.order ?? 'oldest-first',
    concurrency,
    priority,
    rerun: request.rerun ?? 'missing',
    parameters: deps.parameters.check(workflow.parameters, request.parameters ?? {}),
    idempotency_key: request.idempotencyKey ?? null,
    created_by: actor,
    created_at: new Date(deps.clock.now()),
  };
}

function assertWhole(value: number, least: number, most: number, path: string): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const message = `must be a whole number from ${least} to ${most}`;
  throw new SignalboxError('invalid-request', `${path} ${message}`, [{ path, message }]);
}

function toPlan(workflow: string, { range, notOver, items }: Planned): BackfillPlan {
  const toRun = items.filter(({ action }) => action === 'run').length;
  return {
    workflow,
    from: new Date(range.from).toISOString(),
    to: new Date(range.to).toISOString(),
    ...{ toRun, toSkip: items.length - toRun, notOver, items },
  };
}

function toNewItem(item: Planned['items'][number]) {
  return {
    ...{ key: item.key, partition: item.partition, logicalDate: item.logicalDate },
    start: item.dataInterval?.start ?? null,
    end: item.dataInterval?.end ?? null,
    state: item.action === 'run' ? ('pending' as const) : ('skipped' as const),
    run_id: item.action === 'run' ? null : (item.existing?.runId ?? null),
  };
}

async function read(db: Tx, id: string): Promise<Backfill> {
  const row = isUuid(id) ? await findBackfill(db, id) : undefined;
  const [backfill] = row ? await withCounts(db, [row]) : [];
  if (backfill) return backfill;
  throw new SignalboxError('not-found', `there is no backfill ${id.slice(0, 60)}`);
}

async function withCounts(db: Tx, rows: readonly BackfillRow[]): Promise<readonly Backfill[]> {
  if (rows.length === 0) return [];
  const counts = await countItems(
    db,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => {
    const own = counts.filter(({ id }) => id === row.id);
    const of = (state: BackfillItemState) => own.find((count) => count.state === state)?.count ?? 0;
    return toBackfill(row, of);
  });
}

function toBackfill(row: BackfillRow, of: (state: BackfillItemState) => number): Backfill {
  const counts = Object.fromEntries(
    BACKFILL_ITEM_STATES.map((state) => [state, of(state)]),
  ) as Backfill['counts'];
  return {
    id: row.id,
    workflow: row.workflow,
    state: row.state,
    from: row.from_at.toISOString(),
    to: row.to_at.toISOString(),
    order: row.run_order,
    concurrency: row.concurrency,
    priority: row.priority,
    rerun: row.rerun,
    parameters: row.parameters,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    finishedAt: toRfc3339(row.finished_at),
    error: row.error,
    total: Object.values(counts).reduce((sum, count) => sum + count, 0),
    counts,
  };
}

function toItem(row: BackfillItemRow): BackfillItem {
  const { interval_start: start, interval_end: end } = row;
  return {
    ...{ seq: row.seq, key: row.key, partition: row.partition, state: row.state },
    logicalDate: toRfc3339(row.logical_date),
    dataInterval: start && end ? { start: start.toISOString(), end: end.toISOString() } : null,
    runId: row.run_id,
  };
}
