/** What code declares of assets: their rows, their tasks, and the edges that come from code. */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import type { GraphTask } from '../catalog/graph.ts';
import { jsonText } from './columns.ts';
import type { Tx } from './connection.ts';
import { growLineageEpoch } from './lineage.ts';

export interface DeclaredAsset {
  readonly asset: AssetDefinition;
  readonly workflow: string;
  /** How it runs, alone or among others. */
  readonly task: GraphTask;
}

const UPSERT = `
  INSERT INTO signalbox.asset AS a (
    key, description, owners, source, workflow, queue, task, checks, declared_policy, partitions, partition_runs,
    code_version, io, observed, updated_at)
  SELECT key, description, owners, source, workflow, queue, task, checks, policy, partitions, partition_runs,
         code_version, io, observed, $2
  FROM jsonb_to_recordset($1::jsonb) AS d (
    key text, description text, owners jsonb, source text, workflow text, queue text, task jsonb,
    checks jsonb, policy jsonb, partitions jsonb, partition_runs text, code_version text,
    io text, observed boolean)
  ORDER BY key
  ON CONFLICT (key) DO UPDATE SET
    description = excluded.description, owners = excluded.owners, source = excluded.source,
    workflow = excluded.workflow, queue = excluded.queue, task = excluded.task,
    checks = excluded.checks, declared_policy = excluded.declared_policy,
    partitions = excluded.partitions, partition_runs = excluded.partition_runs,
    code_version = excluded.code_version, io = excluded.io, observed = excluded.observed,
    updated_at = excluded.updated_at`;

const DELETE_EDGES = `
  DELETE FROM signalbox.asset_edge e
  USING jsonb_to_recordset($1::jsonb) AS d (key text, upstream jsonb)
  WHERE e.downstream = d.key AND e.origin = 'code' AND NOT d.upstream ? e.upstream`;

const INSERT_EDGES = `
  INSERT INTO signalbox.asset_edge AS e (upstream, downstream, origin, mapping)
  SELECT DISTINCT u.key, d.key, 'code', d.mappings -> u.key
  FROM jsonb_to_recordset($1::jsonb) AS d (key text, upstream jsonb, mappings jsonb),
       jsonb_array_elements_text(d.upstream) AS u (key)
  ORDER BY 2, 1
  ON CONFLICT (downstream, upstream) DO UPDATE SET origin = 'code', mapping = excluded.mapping
  WHERE e.origin <> 'code' OR e.mapping IS DISTINCT FROM excluded.mapping`;

/** Stores what code declares; what was set by hand, and what is known of versions, stays. */
export async function upsertAssets(
  tx: Tx,
  declared: readonly DeclaredAsset[],
  now: Date,
): Promise<void> {
  const rows = declared.map(({ asset, workflow, task }) => ({
    key: asset.key,
    description: asset.description,
    owners: asset.owners,
    source: asset.source,
    workflow: asset.madeElsewhere ? null : workflow,
    queue: task.queue,
    task: asset.madeElsewhere ? null : { ...task, after: [] },
    partitions: asset.partitions ?? null,
    partition_runs: asset.partitionRuns ?? 'each',
    code_version: asset.madeElsewhere ? null : (asset.codeVersion ?? null),
    ...{ io: asset.io ?? null, observed: asset.observed ?? false },
    checks: asset.checks,
    policy: {
      warnAfterMs: asset.warnAfterMs,
      failAfterMs: asset.failAfterMs,
      deadlineCron: asset.deadlineCron,
      critical: asset.critical,
      fallback: asset.fallback,
    },
  }));
  await tx.execute(UPSERT, [jsonText(rows), now]);
  const edges = jsonText(
    declared.map(({ asset }) => ({
      key: asset.key,
      upstream: asset.dependsOn,
      mappings: asset.mappings ?? {},
    })),
  );
  const removed = await tx.execute(DELETE_EDGES, [edges]);
  const added = await tx.execute(INSERT_EDGES, [edges]);
  if (removed + added > 0) await growLineageEpoch(tx);
}
