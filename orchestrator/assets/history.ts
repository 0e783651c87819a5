/** What the last versions of an asset recorded, for checks that compare. */
import type { RecordedVersion } from '../../domain/agent-protocol.ts';
import { readRecordedVersions } from '../store/asset-observation.ts';
import type { Db } from '../store/connection.ts';

/** Versions that a check may look back. */
const LOOKED_BACK = 50;

export async function readAssetHistory(db: Db, key: string): Promise<readonly RecordedVersion[]> {
  const rows = await readRecordedVersions(db, key, LOOKED_BACK);
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}
