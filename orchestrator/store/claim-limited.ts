/**
 * Claiming what something limits: tasks of pools, of queues with a limit or a rate, of queues that go before others,
 * and tasks that ask for an agent's labels. Limits are counted by rows under the locks of their queues and pools, so
 * they are exact, whoever else claims at the time. The queue `*` stands for all of them together.
 */
import { type PickedRow, pickRows } from './claim.ts';
import {
  type DefinedFilter,
  definedSql,
  definedValues,
  type ReadyColumns,
  readyColumns,
} from './claim-defined.ts';
import { plainArray, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

const NO_ROOM_LIMIT = 2_147_483_647;

/**
 * Locks what limits tasks of these queues, always queues before pools and in the order of their names: two servers
 * that count the same pool count one after the other.
 */
const LOCK_QUEUES = `
  SELECT name FROM signalbox.queue
  WHERE (name = ANY($1::text[]) OR name = '*') AND NOT paused AND coalesce(concurrency, rate_count) IS NOT NULL
  ORDER BY name FOR UPDATE`;
const LOCK_POOLS = `
  SELECT name FROM signalbox.pool WHERE name IN (
    SELECT DISTINCT t.pool FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
      SELECT DISTINCT pool FROM signalbox.task_live
      WHERE state = 1 AND pool IS NOT NULL AND queue = q.name) t)
  ORDER BY name FOR UPDATE`;
/** Tasks that ask for labels may need any of them. */
const LOCK_ALL_POOLS = `SELECT name FROM signalbox.pool WHERE kind = 'task-slots' ORDER BY name FOR UPDATE`;

/** What a queue's bucket holds now. */
const TOKENS = `
  least(l.rate_count, coalesce(l.rate_tokens, l.rate_count)
    + greatest(0, extract(epoch FROM clock_timestamp() - coalesce(l.rate_at, clock_timestamp())) * 1000)
      * l.rate_count / l.rate_per_ms)`;
const TOKENS_LEFT = `coalesce(floor(${TOKENS})::int, ${NO_ROOM_LIMIT})`;

const COLUMNS = `run_id, task, attempt, lost, retries_left, priority, ready_at, queue, pool, pool_slots, more, gates, labels`;

/** Rows of each pool and queue in the order of claims, as long as they fit into what is free. */
const pickSql = (labelled: string, defined: string, { state, queue }: ReadyColumns) => `
  WITH everything AS MATERIALIZED (
    SELECT least(coalesce(l.concurrency - (
             SELECT count(*) FROM signalbox.task_live r WHERE r.state = 2), ${NO_ROOM_LIMIT}), ${TOKENS_LEFT}) AS room,
           l.paused
    FROM (VALUES (1)) AS one LEFT JOIN signalbox.queue l ON l.name = '*'
  ), q AS MATERIALIZED (
    SELECT g.name, least(coalesce(l.concurrency - (
             SELECT count(*) FROM signalbox.task_live r WHERE r.state = 2 AND r.queue = g.name), ${NO_ROOM_LIMIT}),
             ${TOKENS_LEFT}, e.room) AS room,
           coalesce(l.priority, 0) AS rank
    FROM unnest($1::text[]) AS g (name) LEFT JOIN signalbox.queue l ON l.name = g.name CROSS JOIN everything e
    WHERE l.paused IS NOT TRUE AND e.paused IS NOT TRUE
  ), labelled AS MATERIALIZED (${labelled}), pooled AS MATERIALIZED (
    SELECT DISTINCT t.pool FROM q CROSS JOIN LATERAL (
      SELECT DISTINCT pool FROM signalbox.task_live
      WHERE state = 1 AND pool IS NOT NULL AND queue = q.name) t
    UNION SELECT pool FROM labelled WHERE pool IS NOT NULL
  ), p AS MATERIALIZED (
    SELECT d.pool AS name, CASE WHEN s.name IS NULL THEN ${NO_ROOM_LIMIT} ELSE s.max - (
             SELECT coalesce(sum(r.pool_slots), 0) FROM signalbox.task_live r
             WHERE r.state = 2 AND r.pool = d.pool AND r.pool IS NOT NULL) END AS room
    FROM pooled d LEFT JOIN signalbox.pool s ON s.name = d.pool AND s.kind = 'task-slots'
  ), free AS MATERIALIZED (
    SELECT t.* FROM q CROSS JOIN LATERAL (
      SELECT ${COLUMNS} FROM signalbox.task_live
      WHERE ${state} = 1 AND pool IS NULL AND ${queue} = q.name${defined}
      ORDER BY priority DESC, ready_at LIMIT greatest(0, least(q.room, $2::int))
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0
  ), slotted AS MATERIALIZED (
    SELECT t.* FROM q CROSS JOIN p CROSS JOIN LATERAL (
      SELECT ${COLUMNS} FROM signalbox.task_live
      WHERE ${state} = 1 AND pool = p.name AND pool IS NOT NULL AND ${queue} = q.name${defined}
      ORDER BY priority DESC, ready_at LIMIT greatest(0, least(p.room, q.room, $2::int))
      FOR UPDATE SKIP LOCKED) t WHERE q.room > 0 AND p.room > 0
  ), fitting AS MATERIALIZED (
    SELECT s.*, sum(s.pool_slots) OVER (PARTITION BY s.pool ORDER BY s.priority DESC, s.ready_at, s.run_id, s.task)
             AS used
    FROM (SELECT * FROM slotted UNION ALL SELECT * FROM labelled WHERE pool IS NOT NULL) s
  ), both_kinds AS MATERIALIZED (
    SELECT ${COLUMNS} FROM free
    UNION ALL SELECT ${COLUMNS} FROM labelled WHERE pool IS NULL
    UNION ALL SELECT ${COLUMNS} FROM fitting f
    WHERE f.used <= (SELECT p.room FROM p WHERE p.name = f.pool)
  ), counted AS MATERIALIZED (
    SELECT b.*, row_number() OVER (PARTITION BY b.queue ORDER BY b.priority DESC, b.ready_at) AS nth
    FROM both_kinds b
  )`;
const chosenSql = (columns: string) => `
  SELECT ${columns}, q.room, (SELECT room FROM everything) FROM counted t JOIN q ON q.name = t.queue
  WHERE t.nth <= q.room ORDER BY q.rank DESC, t.priority DESC, t.ready_at
  LIMIT greatest(0, least($2::int, (SELECT room FROM everything)))`;

/** Parameters before those of labels and definitions. */
const LIMITED_VALUES = 2;
const NONE_LABELLED = `SELECT ${COLUMNS} FROM signalbox.task_live WHERE false`;
/** Set by set of labels that the agent has, so that tasks for other agents are never read. */
const labelledSql = (defined: string, { state, queue }: ReadyColumns) => `
  SELECT t.* FROM q CROSS JOIN signalbox.label_set s CROSS JOIN LATERAL (
    SELECT ${COLUMNS} FROM signalbox.task_live
    WHERE ${state} = 7 AND ${queue} = q.name AND labels = s.labels${defined}
    ORDER BY priority DESC, ready_at LIMIT greatest(0, least(q.room, $2::int))
    FOR UPDATE SKIP LOCKED) t
  WHERE q.room > 0 AND s.labels <@ $3::text[]`;

/** Takes what starts out of the buckets of its queues and of all. */
const CHARGE = `
  UPDATE signalbox.queue l SET rate_tokens = ${TOKENS} - c.count, rate_at = clock_timestamp()
  FROM unnest($1::text[], $2::int[]) AS c (name, count)
  WHERE l.name = c.name AND l.rate_count IS NOT NULL`;

/** Locks tasks within the limits of queues and pools. */
export async function pickLimitedTasks(
  tx: Tx,
  queues: readonly string[],
  labels: readonly string[],
  limit: number,
  filter: DefinedFilter | undefined,
): Promise<PickedRow[]> {
  await tx.execute(LOCK_QUEUES, [textArray(queues)]);
  if (labels.length === 0) await tx.execute(LOCK_POOLS, [textArray(queues)]);
  else await tx.execute(LOCK_ALL_POOLS, []);
  const own = labels.length === 0 ? [] : [textArray(labels)];
  const defined = filter === undefined ? '' : definedSql(filter, LIMITED_VALUES + own.length + 1);
  const ready = readyColumns(filter);
  const labelled = labels.length === 0 ? NONE_LABELLED : labelledSql(defined, ready);
  return pickRows(tx, (columns) => pickSql(labelled, defined, ready) + chosenSql(columns), [
    ...[textArray(queues), limit, ...own],
    ...(filter === undefined ? [] : definedValues(filter)),
  ]);
}

/** Tasks of these queues start: what is limited by a rate has so much less. */
export async function chargeRates(tx: Tx, queues: readonly string[]): Promise<void> {
  if (queues.length === 0) return;
  const counts = new Map<string, number>([['*', queues.length]]);
  for (const queue of queues) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  await tx.execute(CHARGE, [textArray([...counts.keys()]), plainArray([...counts.values()])]);
}

const HAS_LIMITED = `
  SELECT q.name FROM unnest($1::text[]) AS q (name)
  WHERE EXISTS (
      SELECT FROM signalbox.queue l WHERE (l.name = q.name OR l.name = '*') AND NOT paused
        AND (coalesce(concurrency, rate_count) IS NOT NULL OR (priority <> 0 AND cardinality($1::text[]) > 1)))
     OR EXISTS (
       SELECT FROM signalbox.task_live t WHERE t.state = 1 AND t.pool IS NOT NULL AND t.queue = q.name)`;
const HAS_LABELLED = `${HAS_LIMITED}
     OR EXISTS (
       SELECT FROM signalbox.label_set s WHERE s.labels <@ $2::text[] AND EXISTS (
         SELECT FROM signalbox.task_live t WHERE t.state = 7 AND t.queue = q.name AND t.labels = s.labels))`;

/** Those of the queues of which tasks must be claimed within limits. */
export async function findLimited(
  tx: Tx,
  queues: readonly string[],
  labels: readonly string[],
): Promise<string[]> {
  const rows = await (labels.length === 0
    ? tx.rows<readonly [string]>(HAS_LIMITED, [textArray(queues)])
    : tx.rows<readonly [string]>(HAS_LABELLED, [textArray(queues), textArray(labels)]));
  return rows.map(([name]) => name);
}
