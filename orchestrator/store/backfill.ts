/** Tables `backfill` and `backfill_item`. Whoever starts or settles items of a backfill holds its row's lock. */
import type {
  BackfillItemState,
  BackfillOrder,
  BackfillRerun,
  BackfillState,
} from '../../domain/backfill.ts';
import { jsonText, plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

export interface BackfillRow {
  readonly id: string;
  readonly workflow: string;
  readonly state: BackfillState;
  readonly from_at: Date;
  readonly to_at: Date;
  readonly run_order: BackfillOrder;
  readonly concurrency: number;
  readonly priority: number;
  readonly rerun: BackfillRerun;
  readonly parameters: Record<string, unknown>;
  readonly idempotency_key: string | null;
  readonly created_by: string;
  readonly created_at: Date;
  readonly finished_at: Date | null;
  readonly error: string | null;
}

export interface BackfillItemRow {
  readonly seq: number;
  readonly key: string;
  readonly logical_date: Date | null;
  readonly interval_start: Date | null;
  readonly interval_end: Date | null;
  readonly partition: string | null;
  readonly state: BackfillItemState;
  readonly tries: number;
  readonly run_id: string | null;
}

const COLUMNS = `
  id, workflow, state, from_at, to_at, run_order, concurrency, priority, rerun, parameters, idempotency_key,
  created_by, created_at, finished_at, error`;
const ITEM_COLUMNS =
  'seq, key, logical_date, interval_start, interval_end, partition, state, tries, run_id';

/** @returns false where the idempotency key had been used */
export async function insertBackfill(
  tx: Tx,
  row: Omit<BackfillRow, 'finished_at' | 'error'>,
): Promise<boolean> {
  const inserted = await tx.execute(
    `INSERT INTO signalbox.backfill (
       id, workflow, state, from_at, to_at, run_order, concurrency, priority, rerun, parameters,
       idempotency_key, created_by, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`,
    [
      ...[row.id, row.workflow, row.state, row.from_at, row.to_at, row.run_order],
      ...[row.concurrency, row.priority, row.rerun, jsonText(row.parameters)],
      ...[row.idempotency_key, row.created_by, row.created_at],
    ],
  );
  return inserted > 0;
}

export type NewItem = Pick<BackfillItemRow, 'key' | 'partition' | 'state' | 'run_id'> & {
  /** RFC 3339. */
  readonly logicalDate: string | null;
  readonly start: string | null;
  readonly end: string | null;
};

/** Stores the items in their order. */
export async function insertItems(tx: Tx, id: string, items: readonly NewItem[]): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.backfill_item (
       backfill_id, seq, key, logical_date, interval_start, interval_end, partition, state, run_id)
     SELECT $1, place, key, logical_date, interval_start, interval_end, partition, state, run_id
     FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[],
                 $8::uuid[])
       WITH ORDINALITY AS i (key, logical_date, interval_start, interval_end, partition, state, run_id, place)`,
    [
      id,
      textArray(items.map(({ key }) => key)),
      textArray(items.map(({ logicalDate }) => logicalDate)),
      textArray(items.map(({ start }) => start)),
      textArray(items.map(({ end }) => end)),
      textArray(items.map(({ partition }) => partition)),
      plainArray(items.map(({ state }) => state)),
      plainArray(items.map(({ run_id }) => run_id)),
    ],
  );
}

export async function findByKey(
  tx: Tx,
  workflow: string,
  key: string,
): Promise<string | undefined> {
  const [row] = await tx.query<{ id: string }>(
    'SELECT id FROM signalbox.backfill WHERE workflow = $1 AND idempotency_key = $2',
    [workflow, key],
  );
  return row?.id;
}

export async function findBackfill(db: Tx, id: string): Promise<BackfillRow | undefined> {
  const [row] = await db.query<BackfillRow>(
    `SELECT ${COLUMNS} FROM signalbox.backfill WHERE id = $1`,
    [id],
  );
  return row;
}

/** Backfills, newest first. */
export function listBackfills(
  db: Tx,
  query: {
    workflow: string | null;
    state: string | null;
    before: string | null;
    limit: number;
    prefix: string;
  },
): Promise<BackfillRow[]> {
  return db.query<BackfillRow>(
    `SELECT ${COLUMNS} FROM signalbox.backfill
     WHERE ($1::text IS NULL OR workflow = $1) AND ($2::text IS NULL OR state = $2)
       AND ($3::uuid IS NULL OR id < $3) AND signalbox.in_environment(workflow, $5)
     ORDER BY id DESC LIMIT $4`,
    [query.workflow, query.state, query.before, query.limit, query.prefix],
  );
}

/** Items by state, for each of these backfills. */
export async function countItems(
  db: Tx,
  ids: readonly string[],
): Promise<{ id: string; state: BackfillItemState; count: number }[]> {
  return db.query(
    `SELECT backfill_id AS id, state, count(*)::int AS count FROM signalbox.backfill_item
     WHERE backfill_id = ANY($1::uuid[]) GROUP BY backfill_id, state`,
    [ids],
  );
}

export function listItems(
  db: Tx,
  id: string,
  after: number,
  limit: number,
): Promise<BackfillItemRow[]> {
  return db.query<BackfillItemRow>(
    `SELECT ${ITEM_COLUMNS} FROM signalbox.backfill_item
     WHERE backfill_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
    [id, after, limit],
  );
}

/** Backfills that have something to do, or something under way. */
export async function findOpen(db: Tx): Promise<string[]> {
  const rows = await db.rows<readonly [string]>(
    `SELECT id FROM signalbox.backfill WHERE state IN ('running', 'paused', 'cancelling') ORDER BY id`,
  );
  return rows.map(([id]) => id);
}

/** Locks a backfill. @param wait whether to wait for whoever holds it; otherwise it counts as not there */
export async function lockBackfill(
  tx: Tx,
  id: string,
  wait: boolean,
): Promise<BackfillRow | undefined> {
  const [row] = await tx.query<BackfillRow>(
    `SELECT ${COLUMNS} FROM signalbox.backfill WHERE id = $1 FOR UPDATE ${wait ? '' : 'SKIP LOCKED'}`,
    [id],
  );
  return row;
}

export async function setState(
  tx: Tx,
  id: string,
  state: BackfillState,
  finishedAt: Date | null,
  error: string | null = null,
): Promise<void> {
  await tx.execute(
    'UPDATE signalbox.backfill SET state = $2, finished_at = $3, error = $4 WHERE id = $1',
    [id, state, finishedAt, error],
  );
}

const SETTLE = `
  UPDATE signalbox.backfill_item i
  SET state = CASE WHEN e.state IS NULL THEN 'failed' WHEN e.state = 'skipped' THEN 'succeeded' ELSE e.state END
  FROM (
    SELECT o.seq, r.state
    FROM signalbox.backfill_item o LEFT JOIN signalbox.run r ON r.id = o.run_id
    WHERE o.backfill_id = $1 AND o.state = 'running' AND r.state IS DISTINCT FROM 'active') e
  WHERE i.backfill_id = $1 AND i.seq = e.seq RETURNING i.seq`;

/** Gives items whose run has ended its state. @returns which */
export async function settleItems(tx: Tx, id: string): Promise<number[]> {
  return (await tx.rows<readonly [number]>(SETTLE, [id])).map(([seq]) => seq);
}

/** Runs of the items that are under way. */
export async function findRunning(tx: Tx, id: string): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    `SELECT run_id FROM signalbox.backfill_item WHERE backfill_id = $1 AND state = 'running'`,
    [id],
  );
  return rows.map(([runId]) => runId);
}

/** Those of the runs that nobody has cancelled: to do it twice would end what tidies up as well. */
export async function findUncancelled(tx: Tx, runIds: readonly string[]): Promise<string[]> {
  const rows = await tx.rows<readonly [string]>(
    'SELECT run_id FROM signalbox.run_live WHERE run_id = ANY($1::uuid[]) AND cancel_reason IS NULL',
    [plainArray(runIds)],
  );
  return rows.map(([runId]) => runId);
}

export function findPending(tx: Tx, id: string, limit: number): Promise<BackfillItemRow[]> {
  return tx.query<BackfillItemRow>(
    `SELECT ${ITEM_COLUMNS} FROM signalbox.backfill_item
     WHERE backfill_id = $1 AND state = 'pending' ORDER BY seq LIMIT $2`,
    [id, limit],
  );
}

/** Sets items to a state, with the run of each. */
export async function setItems(
  tx: Tx,
  id: string,
  state: 'running' | 'skipped',
  items: readonly { seq: number; runId: string | null }[],
): Promise<void> {
  if (items.length === 0) return;
  await tx.execute(
    `UPDATE signalbox.backfill_item i
     SET state = $2::text, run_id = s.run_id,
         tries = CASE WHEN $2::text = 'running' THEN i.tries + 1 ELSE i.tries END
     FROM unnest($3::int[], $4::uuid[]) AS s (seq, run_id)
     WHERE i.backfill_id = $1 AND i.seq = s.seq`,
    [
      ...[id, state],
      plainArray(items.map(({ seq }) => seq)),
      plainArray(items.map(({ runId }) => runId)),
    ],
  );
}

/** Moves all items that are in one of the states to another. */
export async function moveItems(
  tx: Tx,
  id: string,
  from: readonly BackfillItemState[],
  to: BackfillItemState,
): Promise<number> {
  return tx.execute(
    `UPDATE signalbox.backfill_item SET state = $3 WHERE backfill_id = $1 AND state = ANY($2::text[])`,
    [id, from, to],
  );
}

export async function hasUnsuccessful(tx: Tx, id: string): Promise<boolean> {
  const [row] = await tx.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM signalbox.backfill_item
       WHERE backfill_id = $1 AND state IN ('failed', 'cancelled')) AS found`,
    [id],
  );
  return row?.found ?? false;
}

/** The run that counts of each date: one under way, else one that succeeded, else the newest. */
export async function findRunsOfDates(
  tx: Tx,
  workflow: string,
  dates: readonly string[],
): Promise<ReadonlyMap<number, { runId: string; state: string }>> {
  const rows = await tx.rows<readonly [number, string, string]>(
    `SELECT DISTINCT ON (logical_date)
            (extract(epoch FROM logical_date) * 1000)::float8, id, state
     FROM signalbox.run
     WHERE workflow = $1 AND logical_date = ANY($2::timestamptz[]) AND engine = 'signalbox'
     ORDER BY logical_date, (state = 'active') DESC, (state = 'succeeded') DESC, id DESC`,
    [workflow, dates],
  );
  return new Map(rows.map(([at, runId, state]) => [at, { runId, state }]));
}
