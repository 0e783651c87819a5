/** How automation stands of many assets, for lists. */
import type { AutomationSummary } from '../../domain/automation.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { type AutomationRow, readAllPaused, readAutomations } from '../store/automation.ts';
import type { Db } from '../store/connection.ts';

/** By asset key; those that are not automated are missing. */
export async function readSummaries(
  db: Db,
  keys: readonly string[],
): Promise<ReadonlyMap<string, AutomationSummary>> {
  const rows = await readAutomations(db, keys);
  if (rows.length === 0) return new Map();
  const all = await readAllPaused(db);
  return new Map(rows.map((row) => [row.asset_key, toSummary(row, all !== null)]));
}

export function toSummary(row: AutomationRow, allPaused: boolean): AutomationSummary {
  return {
    ...{ state: row.state, reason: row.reason, held: row.held, overdue: row.overdue },
    paused: allPaused || row.paused_at !== null || row.workflow_paused_at !== null,
    heldSince: toRfc3339(row.held_since),
  };
}
