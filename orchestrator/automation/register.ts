/** What registration says of automation, stored with the assets in the same transaction. */
import type { AssetDefinition } from '../../domain/agent-protocol.ts';
import { environmentOf, plainName, plainWords } from '../../domain/environment.ts';
import { canonicalJson } from '../../domain/run.ts';
import type { EpochMs } from '../../domain/time.ts';
import { hashText } from '../assets/partitions/place.ts';
import { lookSoon, replaceAutomation } from '../store/automation.ts';
import type { Tx } from '../store/connection.ts';
import { cronName, cronsOf, readAutomation } from './condition.ts';
import { neverTrue } from './satisfiable.ts';

/** @throws Error that says where the condition is wrong, or why it can never be true */
export function checkAutomation(asset: AssetDefinition | null): void {
  if (asset?.automation === undefined) return;
  const { condition } = readAutomation(asset.automation);
  const fault = neverTrue(condition, asset.dependsOn);
  if (fault === null) return;
  // A branch's are told by the names that its code has.
  const message = plainWords(fault, environmentOf(asset.key));
  throw new Error(`${plainName(asset.key)}: automation: ${message}: nothing would ever make it`);
}

/** Sets or takes away the automation of assets that are registered; ticks before now do not count for new crons. */
export async function storeAutomation(
  tx: Tx,
  assets: readonly AssetDefinition[],
  now: EpochMs,
): Promise<void> {
  const automated = assets.flatMap(({ key, automation, madeElsewhere }) => {
    if (automation === undefined || madeElsewhere) return [];
    const definition = readAutomation(automation);
    const crons = cronsOf(definition.condition).map((one) => [cronName(one), now]);
    return [
      {
        ...{ asset_key: key, definition, crons: Object.fromEntries(crons) },
        hash: hashText(canonicalJson(definition.condition)),
      },
    ];
  });
  const keys = new Set(automated.map(({ asset_key }) => asset_key));
  const without = assets.flatMap(({ key }) => (keys.has(key) ? [] : [key]));
  const at = new Date(now);
  await replaceAutomation(tx, automated, without, at);
  await lookSoon(
    tx,
    assets.map(({ key }) => key),
    at,
  );
}
