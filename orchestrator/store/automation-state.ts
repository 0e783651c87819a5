/** Tables `automation_state` (the latest look at each asset or partition) and `automation_evaluation` (those that differ). */
import type {
  AutomationDecision,
  AutomationReason,
  ConditionResult,
} from '../../domain/automation.ts';
import type { Memory } from '../automation/facts.ts';
import { MS } from './automation-facts.ts';
import { jsonText, textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** What is stored of a look. */
export interface StoredEvaluation {
  readonly id: string;
  readonly reason: AutomationReason;
  readonly condition: ConditionResult | null;
  readonly gates: readonly ConditionResult[];
  readonly runId: string | null;
}

/** In arrays, since there may be thousands: partition is '' for one whole; times in milliseconds. */
export type StateRow = readonly [
  key: string,
  partition: string,
  memory: Memory,
  decision: AutomationDecision,
  sig: string,
  memorySig: string,
  since: number,
  heldSince: number | null,
  toldAt: number | null,
];

/** The latest looks at these assets. As one JSON, which is read faster than rows. */
export async function readStates(tx: Tx, keys: readonly string[]): Promise<readonly StateRow[]> {
  const [row] = await tx.query<{ states: readonly StateRow[] }>(
    `SELECT coalesce(json_agg(json_build_array(
       asset_key, partition, memory, decision, sig, memory_sig, ${MS('since')}, ${MS('held_since')},
       ${MS('told_at')})), '[]') AS states
     FROM signalbox.automation_state WHERE asset_key = ANY($1::text[])`,
    [textArray(keys)],
  );
  return row?.states ?? [];
}

/** The latest looks at one asset: what is held back first, then the latest changed. */
export function readCurrentStates(db: Tx, key: string, limit: number): Promise<EvaluationRow[]> {
  return db.query<EvaluationRow>(
    `SELECT evaluation ->> 'id' AS id, asset_key, partition, since AS at, decision, evaluation,
            evaluation ->> 'runId' AS run_id
     FROM signalbox.automation_state WHERE asset_key = $1
     ORDER BY held_since NULLS LAST, since DESC, partition DESC LIMIT $2`,
    [key, limit],
  );
}

export interface StateRecord {
  readonly asset_key: string;
  readonly partition: string;
  readonly memory: Memory;
  readonly decision: AutomationDecision;
  readonly evaluation: StoredEvaluation;
  readonly sig: string;
  readonly memory_sig: string;
  readonly since: string;
  readonly held_since: string | null;
  readonly told_at: string | null;
}

export async function upsertStates(tx: Tx, records: readonly StateRecord[]): Promise<void> {
  if (records.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.automation_state AS a (
       asset_key, partition, memory, decision, evaluation, sig, memory_sig, since, held_since, told_at)
     SELECT asset_key, partition, memory, decision, evaluation, sig, memory_sig, since, held_since, told_at
     FROM jsonb_to_recordset($1::jsonb) AS s (
       asset_key text, partition text, memory jsonb, decision text, evaluation jsonb, sig text,
       memory_sig text, since timestamptz, held_since timestamptz, told_at timestamptz)
     ORDER BY asset_key, partition
     ON CONFLICT (asset_key, partition) DO UPDATE SET
       memory = excluded.memory, decision = excluded.decision,
       evaluation = CASE WHEN a.sig = excluded.sig THEN a.evaluation ELSE excluded.evaluation END,
       sig = excluded.sig, memory_sig = excluded.memory_sig, since = excluded.since, held_since = excluded.held_since, told_at = excluded.told_at`,
    [jsonText(records)],
  );
}

/** Forgets partitions that are not looked at any more. */
export async function deleteStates(
  tx: Tx,
  of: readonly { readonly key: string; readonly partition: string }[],
): Promise<void> {
  if (of.length === 0) return;
  await tx.execute(
    `DELETE FROM signalbox.automation_state s
     USING unnest($1::text[], $2::text[]) AS k (asset_key, partition)
     WHERE s.asset_key = k.asset_key AND s.partition = k.partition`,
    [textArray(of.map(({ key }) => key)), textArray(of.map(({ partition }) => partition))],
  );
}

export interface EvaluationRecord {
  readonly id: string;
  readonly asset_key: string;
  readonly partition: string;
  readonly at: string;
  readonly decision: AutomationDecision;
  readonly evaluation: StoredEvaluation;
  readonly run_id: string | null;
}

export async function insertEvaluations(
  tx: Tx,
  records: readonly EvaluationRecord[],
): Promise<void> {
  if (records.length === 0) return;
  await tx.execute(
    `INSERT INTO signalbox.automation_evaluation (id, asset_key, partition, at, decision, evaluation, run_id)
     SELECT id, asset_key, partition, at, decision, evaluation, run_id
     FROM jsonb_to_recordset($1::jsonb) AS e (
       id uuid, asset_key text, partition text, at timestamptz, decision text, evaluation jsonb, run_id uuid)`,
    [jsonText(records)],
  );
}

export interface EvaluationRow {
  readonly id: string;
  readonly asset_key: string;
  readonly partition: string;
  readonly at: Date;
  readonly decision: AutomationDecision;
  readonly evaluation: StoredEvaluation;
  readonly run_id: string | null;
}

/** Looks at an asset that differed from the one before, the latest first. */
export function listEvaluations(
  db: Tx,
  key: string,
  query: { after: string | null; limit: number; partition: string | null; decision: string | null },
): Promise<EvaluationRow[]> {
  return db.query<EvaluationRow>(
    `SELECT id, asset_key, partition, at, decision, evaluation, run_id
     FROM signalbox.automation_evaluation
     WHERE asset_key = $1 AND ($2::uuid IS NULL OR id < $2) AND ($4::text IS NULL OR partition = $4)
       AND ($5::text IS NULL OR decision = $5)
     ORDER BY id DESC LIMIT $3`,
    [key, query.after, query.limit, query.partition, query.decision],
  );
}

/** How runs ended; those that have not, or are not known any more, are missing. */
export async function readRunEnds(
  tx: Tx,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (runIds.length === 0) return new Map();
  const rows = await tx.rows<readonly [string, string]>(
    `SELECT id, state FROM signalbox.run WHERE id = ANY($1::uuid[]) AND state <> 'active'`,
    [runIds],
  );
  return new Map(rows);
}
