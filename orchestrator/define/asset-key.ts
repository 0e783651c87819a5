/** Keys of assets as users write them. */
import { ASSET_KEY_RULE, isAssetKey } from '../../domain/asset-key.ts';
import { DefinitionError } from './options.ts';

/** @throws DefinitionError */
export function readKey(key: unknown): string {
  if (isAssetKey(key)) return key;
  throw new DefinitionError(ASSET_KEY_RULE);
}
