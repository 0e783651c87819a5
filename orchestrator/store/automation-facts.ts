/** What automation has to know of many assets at once: versions, failures, checks, runs under way, edges. */
import type { PartitionsDefinition, RunPartitions } from '../../domain/partition.ts';
import type { StoredPolicy } from '../assets/policy.ts';
import type { CheckFact } from '../automation/facts.ts';
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';
import type { InputRow } from './partition.ts';

/** An asset with its newest version; times in milliseconds. */
export type AssetFactRow = readonly [
  key: string,
  madeHere: boolean,
  partitions: PartitionsDefinition | null,
  codeVersion: string | null,
  declaredPolicy: StoredPolicy,
  setPolicy: StoredPolicy,
  computedAt: number | null,
  fallback: boolean,
  partitionsMade: number,
  completeAt: number | null,
  failedAt: number | null,
  failure: FailureFact | null,
  version: VersionFactRow | null,
  /** Of what was seen elsewhere: data version, since when it is that, run, its id. */
  observation:
    | readonly [dataVersion: string | null, changedAt: number, runId: string | null, id: string]
    | null,
];

export interface FailureFact {
  readonly state?: string;
  readonly error?: unknown;
  readonly runId?: string | null;
}

export type VersionFactRow = readonly [
  id: string,
  recordedAt: number,
  runId: string | null,
  dataVersion: string | null,
  codeVersion: string | null,
  inputs: readonly InputRow[] | null,
];

/** A moment as milliseconds, in SQL. */
export const MS = (column: string) => `(extract(epoch FROM ${column}) * 1000)::float8`;

/** Assets that nobody ever declared, made or saw are missing. */
export async function readAssetFacts(
  tx: Tx,
  keys: readonly string[],
): Promise<readonly AssetFactRow[]> {
  const [row] = await tx.query<{ assets: readonly AssetFactRow[] }>(
    `SELECT coalesce(json_agg(json_build_array(
       a.key, a.workflow IS NOT NULL, a.partitions, a.code_version, a.declared_policy, a.set_policy,
       ${MS('greatest(a.computed_at, a.observed_at)')}, a.fallback, a.partitions_made, ${MS('a.complete_at')},
       ${MS('a.last_failed_at')}, a.last_failure,
       CASE WHEN m.id IS NOT NULL THEN json_build_array(
         m.id, ${MS('m.recorded_at')}, m.run_id, m.data_version, m.code_version, m.inputs) END,
       CASE WHEN o.id IS NOT NULL THEN json_build_array(
         o.data_version, ${MS('coalesce(o.changed_at, o.recorded_at)')}, o.run_id, o.id) END)), '[]') AS assets
     FROM signalbox.asset a
     LEFT JOIN signalbox.materialization m
       ON m.id = CASE WHEN a.partitions IS NULL THEN a.computed_id ELSE coalesce(a.last_id, a.computed_id) END
     LEFT JOIN signalbox.asset_observation o ON o.id = a.observation_id
     WHERE a.key = ANY($1::text[])`,
    [textArray(keys)],
  );
  return row?.assets ?? [];
}

/** The latest of a partition; times in milliseconds. */
export type PartitionFactRow = readonly [
  key: string,
  partition: string,
  versionId: string | null,
  recordedAt: number | null,
  runId: string | null,
  dataVersion: string | null,
  codeVersion: string | null,
  failedAt: number | null,
  failedRun: string | null,
  failure: FailureFact | null,
  inputs: readonly InputRow[] | null,
];

/** Those of the partitions that were ever made or failed. `inputs` only of the assets in `own`. */
export async function readPartitionFacts(
  tx: Tx,
  of: readonly (readonly [key: string, partition: string])[],
  own: readonly string[],
): Promise<readonly PartitionFactRow[]> {
  if (of.length === 0) return [];
  const [row] = await tx.query<{ partitions: readonly PartitionFactRow[] }>(
    `SELECT coalesce(json_agg(json_build_array(
       p.asset_key, p.partition, p.version_id, ${MS('p.recorded_at')}, p.run_id, p.data_version, p.code_version,
       ${MS('p.failed_at')}, p.failed_run, p.failure, m.inputs)), '[]') AS partitions
     FROM unnest($1::text[], $2::text[]) AS k (asset_key, partition)
     JOIN signalbox.asset_partition p USING (asset_key, partition)
     LEFT JOIN signalbox.materialization m ON p.asset_key = ANY($3::text[]) AND m.id = p.version_id
     WHERE NOT p.gone`,
    [
      textArray(of.map(([key]) => key)),
      textArray(of.map(([, partition]) => partition)),
      textArray(own),
    ],
  );
  return row?.partitions ?? [];
}

/** Checks of these assets: the latest word of each. */
export function readCheckFacts(
  tx: Tx,
  keys: readonly string[],
): Promise<(CheckFact & { readonly key: string })[]> {
  if (keys.length === 0) return Promise.resolve([]);
  return tx.query(
    `SELECT asset_key AS key, name, passed, severity, ${MS('at')} AS at FROM signalbox.asset_check
     WHERE asset_key = ANY($1::text[]) ORDER BY asset_key, name`,
    [textArray(keys)],
  );
}

/** A run that has not ended; `tasks` as `run_live` has them. */
export type LiveFactRow = readonly [
  runId: string,
  versionId: string,
  tasks: Buffer,
  partitions: RunPartitions | null,
];

export function readLiveFacts(tx: Tx, workflows: readonly string[]): Promise<LiveFactRow[]> {
  return tx.rows<LiveFactRow>(
    `SELECT l.run_id, l.version_id, l.tasks, p.partitions
     FROM signalbox.run_live l LEFT JOIN signalbox.run_partition p ON p.run_id = l.run_id
     WHERE l.workflow = ANY($1::text[])`,
    [textArray(workflows)],
  );
}

/** Versions of the runs that are of these workflows, each once. */
export function readRunVersions(
  tx: Tx,
  runIds: readonly string[],
  workflows: readonly string[],
): Promise<(readonly [versionId: string])[]> {
  return tx.rows(
    `SELECT DISTINCT version_id FROM signalbox.run
     WHERE id = ANY($1::uuid[]) AND workflow = ANY($2::text[]) AND version_id IS NOT NULL`,
    [runIds, textArray(workflows)],
  );
}

/** Workflows whose tasks make assets: [asset, workflow]. */
export function readProducers(tx: Tx): Promise<(readonly [asset: string, workflow: string])[]> {
  return tx.rows(
    `SELECT DISTINCT asset_key, workflow FROM signalbox.asset_task WHERE role = 'produces'`,
  );
}
