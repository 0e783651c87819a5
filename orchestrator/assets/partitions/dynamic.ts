/** Lists of dynamic partitions: people, programs and tasks add keys to them and take keys from them. */
import { SignalboxError } from '../../../domain/errors.ts';
import type { Clock } from '../../../domain/time.ts';
import { lookSoon } from '../../store/automation.ts';
import type { Db } from '../../store/connection.ts';
import {
  addDynamicKeys,
  lockAssetsOfList,
  readDynamicKeys,
  removeDynamicKeys,
} from '../../store/dynamic-partition.ts';
import { recount } from './recount.ts';

/** Keys of one list. */
const MAX_KEYS = 100_000;
const MAX_LENGTH = 250;
const KEY = /^[^\p{C}|]+$/u;

export interface DynamicDeps {
  readonly db: Db;
  readonly clock: Clock;
  changed(topic: 'asset', id: string): void;
}

/**
 * Changes a list; a key that is there already, or is not there, changes nothing.
 * @returns the keys that there are now
 */
export async function changeDynamic(
  { db, clock, changed }: DynamicDeps,
  name: string,
  change: { readonly add?: readonly string[]; readonly remove?: readonly string[] },
  by: string,
): Promise<readonly string[]> {
  const { add = [], remove = [] } = change;
  const bad = [name, ...add].find((key) => !KEY.test(key) || key.length > MAX_LENGTH);
  if (bad !== undefined) {
    throw new SignalboxError(
      'invalid-request',
      `${JSON.stringify(bad.slice(0, 100))} is no key of a partition: 1 to ${MAX_LENGTH} characters without "|"`,
    );
  }
  const { keys, assets } = await db.transaction(async (tx) => {
    const locked = await lockAssetsOfList(tx, name);
    const now = clock.now();
    if (remove.length > 0) await removeDynamicKeys(tx, name, remove);
    if (add.length > 0) await addDynamicKeys(tx, name, add, by, new Date(now));
    const dynamic = await readDynamicKeys(tx, [name]);
    const present = dynamic.get(name) ?? [];
    if (present.length > MAX_KEYS) {
      throw new SignalboxError('invalid-request', `${name} would have more than ${MAX_KEYS} keys`);
    }
    const definitions = new Map(
      locked.flatMap(({ key, partitions }) => (partitions ? [[key, partitions] as const] : [])),
    );
    await recount(tx, definitions, now);
    // Automation makes what is new on the list at once, rather than with its next look.
    const keys = locked.map(({ key }) => key);
    await lookSoon(tx, keys, new Date(now));
    return { keys: present, assets: locked };
  });
  for (const { key } of assets) changed('asset', key);
  return keys;
}

export async function listDynamic(db: Db, name: string): Promise<readonly string[]> {
  return (await readDynamicKeys(db, [name])).get(name) ?? [];
}
