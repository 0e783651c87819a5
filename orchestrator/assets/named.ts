/**
 * What an asset may be called that is named over HTTP for the first time: what code could call it as well. Assets of
 * other systems that lineage told keep their names, whatever stands in them.
 */
import { ASSET_KEY_RULE, isAssetKey } from '../../domain/asset-key.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { findAsset } from '../store/asset.ts';
import type { Tx } from '../store/connection.ts';

/** @throws SignalboxError `invalid-request` */
export async function assertNamed(db: Tx, key: string): Promise<void> {
  if (isAssetKey(key) || (await findAsset(db, key)) !== undefined) return;
  throw new SignalboxError('invalid-request', ASSET_KEY_RULE, [
    { path: '/params/key', message: ASSET_KEY_RULE },
  ]);
}
