/** Keys of assets as users write them. */
import { DefinitionError } from './options.ts';

const KEY = /^[^\s\p{C}]+$/u;
const MAX_KEY = 250;

/** @throws DefinitionError */
export function readKey(key: unknown): string {
  if (typeof key === 'string' && key.length <= MAX_KEY && KEY.test(key)) return key;
  throw new DefinitionError(
    `an asset key is "namespace/name" without spaces, at most ${MAX_KEY} characters`,
  );
}
