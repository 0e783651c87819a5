/** Versions that were reported from outside, by the key of the report. */
import { findMaterialization, type MaterializationRow } from './asset.ts';
import type { Tx } from './connection.ts';

export async function findVersionByKey(
  db: Tx,
  key: string,
  idempotencyKey: string,
): Promise<MaterializationRow | undefined> {
  const [row] = await db.query<{ id: string }>(
    'SELECT id FROM signalbox.materialization WHERE asset_key = $1 AND idempotency_key = $2',
    [key, idempotencyKey],
  );
  return row && findMaterialization(db, row.id);
}
