/** Table `dynamic_partition`: lists of keys that grow while the system runs. */
import type { PartitionsDefinition } from '../../domain/partition.ts';
import type { DynamicKeys } from '../assets/partitions/partition-set.ts';
import { textArray } from './columns.ts';
import type { Tx } from './connection.ts';

/** Keys by the list's name, in the order in which they were added. */
export async function readDynamicKeys(db: Tx, names: readonly string[]): Promise<DynamicKeys> {
  const unique = [...new Set(names)];
  if (unique.length === 0) return new Map();
  const rows = await db.rows<readonly [string, readonly string[]]>(
    `SELECT name, array_agg(key ORDER BY place) FROM signalbox.dynamic_partition
     WHERE name = ANY($1::text[]) GROUP BY name`,
    [textArray(unique)],
  );
  return new Map(rows);
}

export async function addDynamicKeys(
  tx: Tx,
  name: string,
  keys: readonly string[],
  by: string,
  now: Date,
): Promise<number> {
  return tx.execute(
    `INSERT INTO signalbox.dynamic_partition (name, key, added_at, added_by)
     SELECT $1, key, $3, $4 FROM unnest($2::text[]) WITH ORDINALITY AS k (key, place) ORDER BY place
     ON CONFLICT DO NOTHING`,
    [name, textArray(keys), now, by],
  );
}

export function removeDynamicKeys(tx: Tx, name: string, keys: readonly string[]): Promise<number> {
  return tx.execute(
    'DELETE FROM signalbox.dynamic_partition WHERE name = $1 AND key = ANY($2::text[])',
    [name, textArray(keys)],
  );
}

/** Assets that are cut by a list, locked in the order of their keys. */
export function lockAssetsOfList(
  tx: Tx,
  name: string,
): Promise<{ key: string; partitions: PartitionsDefinition | null }[]> {
  return tx.query(
    `SELECT key, partitions FROM signalbox.asset
     WHERE jsonb_path_exists(partitions, '$.** ? (@.kind == "dynamic" && @.name == $name)', jsonb_build_object('name', $1::text))
     ORDER BY key FOR UPDATE`,
    [name],
  );
}
