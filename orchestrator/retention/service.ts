/** What is kept for how long, and the background step that deletes the rest. */
import { SignalboxError } from '../../domain/errors.ts';
import {
  RETENTION_KINDS,
  type RetentionKind,
  type RetentionPolicy,
  type TableStatus,
} from '../../domain/retention.ts';
import { type Clock, formatDuration } from '../../domain/time.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import {
  deleteBackfills,
  deleteOnceKeys,
  deleteWalked,
  type KeepRow,
  keepOf,
  readKeeps,
  readRounds,
  readTables,
  WALKED_KINDS,
  writeKeeps,
} from '../store/retention.ts';
import {
  deleteCachedForGood,
  deleteCallbacks,
  deleteMisses,
  deleteVersions,
} from '../store/retention-by-age.ts';
import { firstIdAt } from './id-range.ts';
import { dropOld, makeAhead } from './partitions.ts';
import { type Deletion, runDeletion } from './round.ts';
import { deleteOldRuns } from './runs.ts';

/** How long each kind is kept; null for ever. */
export type Keeps = ReadonlyMap<string, number | null>;

export interface RetentionService {
  list(): Promise<readonly RetentionPolicy[]>;
  /**
   * Sets several kinds, all or none.
   * @throws SignalboxError `invalid-request` naming what is wrong
   */
  set(
    keeps: Readonly<Record<string, number | null>>,
    actor: { readonly name: string },
  ): Promise<readonly RetentionPolicy[]>;
  tables(): Promise<readonly TableStatus[]>;
  /** Kinds that another part deletes, with the same rounds. */
  add(...deletions: readonly Deletion[]): void;
  /** Told in each round what holds; for stores that delete by themselves. */
  follow(apply: (keeps: Keeps) => Promise<void>): void;
}

const EVERY_MS = 30_000;
const AT_ONCE = 2_000;
const PARTITIONS_EVERY_MS = 600_000;

export function createRetention(deps: { db: Db; clock: Clock }): {
  service: RetentionService;
  reconcilers: readonly Reconciler[];
} {
  const { db, clock } = deps;
  const deletions: Deletion[] = [...ownDeletions(db)];
  const followers: ((keeps: Keeps) => Promise<void>)[] = [];
  const service: RetentionService = {
    list: () => listPolicies(db),
    async set(keeps, actor) {
      const entries = Object.entries(keeps).map(([kind, keepMs]) => ({ kind, keepMs }));
      for (const { kind, keepMs } of entries) check(kind, keepMs);
      await writeKeeps(db, entries, actor.name, new Date(clock.now()));
      return listPolicies(db);
    },
    tables: () => readTables(db),
    add: (...more) => void deletions.push(...more),
    follow: (apply) => void followers.push(apply),
  };
  return {
    service,
    reconcilers: [
      {
        name: 'retention',
        everyMs: EVERY_MS,
        async run() {
          const keeps = keepsOf(await readKeeps(db));
          const work = [
            ...deletions.map((deletion) => async () => {
              const keepMs = keeps.get(deletion.kind) ?? null;
              if (keepMs !== null) await runDeletion(deps, deletion, keepMs);
            }),
            () => dropOld(db, clock, keeps.get('runs') ?? null),
            ...followers.map((apply) => () => apply(keeps)),
          ];
          await oneByOne(work);
        },
      },
      {
        name: 'log-partitions',
        everyMs: PARTITIONS_EVERY_MS,
        run: async () => makeAhead(db, clock, keepsOf(await readKeeps(db)).get('runs') ?? null),
      },
    ],
  };
}

/** All of them, also after one that failed; the first failure is thrown at the end. */
async function oneByOne(work: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const one of work) await one().catch((error: unknown) => errors.push(error));
  if (errors.length > 0) throw errors[0];
}

function ownDeletions(db: Db): readonly Deletion[] {
  const byAge = (
    kind: string,
    work: (db: Db, before: Date, limit: number) => Promise<number>,
  ): Deletion => ({
    kind,
    async batch(_cursor, beforeMs) {
      const deleted = await work(db, new Date(beforeMs), AT_ONCE);
      return { deleted, cursor: null, more: deleted >= AT_ONCE };
    },
  });
  return [
    { kind: 'runs', batch: (cursor, beforeMs) => deleteOldRuns(db, cursor, beforeMs) },
    byAge('once-keys', deleteOnceKeys),
    byAge('backfills', deleteBackfills),
    byAge('deadline-misses', deleteMisses),
    byAge('callbacks', deleteCallbacks),
    byAge('cached-results', deleteCachedForGood),
    byAge('workflow-versions', deleteVersions),
    ...WALKED_KINDS.map(
      (kind): Deletion => ({
        kind,
        async batch(cursor, beforeMs) {
          const until = firstIdAt(beforeMs);
          const batch = await deleteWalked(db, kind, { cursor, until, limit: AT_ONCE });
          const more = batch.seen === AT_ONCE;
          return { deleted: batch.deleted, cursor: more ? batch.cursor : null, more };
        },
      }),
    ),
  ];
}

function keepsOf(rows: readonly KeepRow[]): Keeps {
  return new Map(RETENTION_KINDS.map(({ kind }) => [kind, keepOf(kind, rows)]));
}

async function listPolicies(db: Db): Promise<readonly RetentionPolicy[]> {
  const [rows, rounds] = await Promise.all([readKeeps(db), readRounds(db)]);
  const set = new Map(rows.map((row) => [row.kind, row]));
  return RETENTION_KINDS.map((kind: RetentionKind) => {
    const row = set.get(kind.kind);
    return {
      ...kind,
      keepMs: keepOf(kind.kind, rows),
      setBy: row?.updated_by ?? null,
      setAt: row?.updated_at.toISOString() ?? null,
      last: rounds.get(kind.kind) ?? null,
    };
  });
}

function check(kind: string, keepMs: number | null): void {
  const known = RETENTION_KINDS.find((one) => one.kind === kind);
  if (!known) {
    const names = RETENTION_KINDS.map((one) => one.kind).join(', ');
    throw new SignalboxError('invalid-request', `there is no kind ${kind}; there are ${names}`);
  }
  if (keepMs !== null && keepMs < known.leastMs) {
    const least = formatDuration(known.leastMs);
    throw new SignalboxError('invalid-request', `${kind} are kept for at least ${least}`);
  }
}
