/** What an asset may be called, in code and over HTTP: `namespace/name`, or a name alone. */

const KEY = /^(?!\/)[^\s\p{C}]+(?<!\/)$/u;
const MAX_KEY = 250;

/** Why it cannot be a key of an asset. */
export const ASSET_KEY_RULE = `an asset key is "namespace/name" without spaces and control characters, without "/" at its ends, at most ${MAX_KEY} characters`;

export function isAssetKey(key: unknown): key is string {
  return typeof key === 'string' && key.length <= MAX_KEY && KEY.test(key);
}
