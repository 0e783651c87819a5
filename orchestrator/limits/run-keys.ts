/**
 * Concurrency keys of runs: what becomes of a new run while others hold its key. It waits, or takes the place of the
 * older ones, or ends at once; what waits is let in by the promoter, like runs that wait for the workflow's room.
 */
import type { RunError } from '../../domain/run.ts';
import type { Version } from '../runs/versions.ts';
import type { Reconciler } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import { lockActiveRuns } from '../store/run-insert.ts';
import {
  countKeys,
  findReplaced,
  giveKeys,
  insertRunKeys,
  type RunKey,
  SHARED_KEYS,
  waitForKeys,
} from '../store/run-key.ts';
import { fillTemplate } from './template.ts';

interface KeyedRun {
  readonly runId: string;
  readonly version: Version;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly priority: number;
  /** It has to wait for something else in any case. */
  readonly waits: boolean;
}

/** `key`: the run has it. `wait`: it is to wait. Else how it ends. */
export type KeyVerdict =
  | { readonly kind: 'key' | 'wait' }
  | { readonly kind: 'skipped' | 'cancelled'; readonly error: RunError };

/** Names to lock before keys of such runs are given away. */
export function locksOfKeys(versions: Iterable<Version>): string[] {
  const names = new Set<string>();
  for (const { concurrency, workflow } of versions) {
    if (concurrency) names.add(concurrency.scope === 'global' ? SHARED_KEYS : workflow);
  }
  return [...names];
}

/** Gives new runs their keys as far as these are free. The caller holds the locks. */
export async function keyNewRuns(
  tx: Tx,
  runs: readonly KeyedRun[],
): Promise<ReadonlyMap<string, KeyVerdict>> {
  const verdicts = new Map<string, KeyVerdict>();
  if (runs.length === 0) return verdicts;
  const named = runs.flatMap((run) => {
    const key = keyOf(run.version, run.parameters);
    return key === null ? [] : [{ ...run, key, workflow: run.version.workflow }];
  });
  const asked = new Map(named.map(({ workflow, key }) => [key, { workflow, key }]));
  const counts = new Map(await countKeys(tx, [...asked.values()]));
  const rows: RunKey[] = [];
  for (const { runId, version, key, workflow, priority, waits } of named) {
    const { limit = 1, strategy = 'queue' } = version.concurrency ?? {};
    const { held, waiting } = counts.get(key) ?? { held: 0, waiting: 0 };
    const free = held < limit && waiting === 0;
    if (!free && (strategy === 'skip' || strategy === 'cancel-new')) {
      const message = `other runs hold the concurrency key ${key.slice(key.indexOf(':') + 1)}`;
      const error = { name: 'ConcurrencyKey', message };
      verdicts.set(runId, { kind: strategy === 'skip' ? 'skipped' : 'cancelled', error });
      continue;
    }
    const has = free && !waits;
    counts.set(key, has ? { held: held + 1, waiting } : { held, waiting: waiting + 1 });
    rows.push({ ...{ runId, workflow, key, priority }, max: limit, held: has });
    verdicts.set(runId, { kind: has ? 'key' : 'wait' });
  }
  await insertRunKeys(tx, rows);
  return verdicts;
}

/** A run that goes on after its end asks for its key anew. */
export async function askKeyAgain(
  tx: Tx,
  run: {
    readonly runId: string;
    readonly version: Version;
    readonly parameters: Readonly<Record<string, unknown>>;
    readonly priority: number;
  },
): Promise<void> {
  const key = keyOf(run.version, run.parameters);
  if (key === null) return;
  const { runId, priority, version } = run;
  const max = version.concurrency?.limit ?? 1;
  await insertRunKeys(tx, [
    { ...{ runId, priority, key, max }, workflow: version.workflow, held: false },
  ]);
}

/** Lets runs of the workflow have keys that are free. The caller holds no locks yet; afterwards it has the workflow's. */
export async function lockAndGiveKeys(tx: Tx, workflow: string): Promise<void> {
  const { any, shared } = await waitForKeys(tx, workflow);
  await lockActiveRuns(tx, shared ? [workflow, SHARED_KEYS] : [workflow]);
  if (any) await giveKeys(tx, workflow);
}

function keyOf(
  { concurrency, workflow }: Version,
  parameters: Readonly<Record<string, unknown>>,
): string | null {
  if (!concurrency) return null;
  const key = fillTemplate(concurrency.key, { workflow, parameters });
  return concurrency.scope === 'global' ? `:${key}` : `${workflow}:${key}`;
}

const EVERY_MS = 500;

/** Cancels runs that newer ones of their key take the place of (`cancel-running`). */
export function createKeyKeeper(deps: {
  readonly db: Db;
  cancelRun(runId: string, reason: string): Promise<unknown>;
  log(message: string): void;
}): Reconciler {
  return {
    name: 'concurrency-keys',
    everyMs: EVERY_MS,
    async run() {
      for (const { runId, key } of await findReplaced(deps.db)) {
        const reason = `a newer run has the concurrency key ${key.slice(key.indexOf(':') + 1)}`;
        await deps
          .cancelRun(runId, reason)
          .catch((error: Error) => deps.log(`run ${runId} was not cancelled: ${error.message}`));
      }
    },
  };
}
