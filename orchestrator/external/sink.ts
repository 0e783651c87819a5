/**
 * Takes in runs that other engines tell of, so that they are runs like any other: rows, events, assets, lineage.
 * All of a batch's runs are locked, folded and written in one transaction and a few statements; the same batch
 * again changes nothing. A parent is made known by its child, before it says anything itself.
 */
import type { ExternalRunEvent, ExternalRunSink } from '../../domain/events.ts';
import { businessKey } from '../../domain/run.ts';
import type { Clock } from '../../domain/time.ts';
import { recordAssets } from '../assets/record.ts';
import { appendRunEvents } from '../events/append.ts';
import type { Db, Tx } from '../store/connection.ts';
import {
  findOwnRuns,
  insertLineage,
  lockExternalRuns,
  type NamedRun,
  setOwners,
  updateExternalRuns,
  upsertDatasets,
} from '../store/external.ts';
import { growLineageEpoch } from '../store/lineage.ts';
import { type FoldedEvents, lineageOf, seenOfAssets } from './datasets.ts';
import { type FoldedRun, foldEvent } from './fold.ts';
import { fromRow, toRecord, toRunEvent } from './rows.ts';

export interface ExternalDeps {
  readonly db: Db;
  readonly clock: Clock;
  newId(): string;
  changed(topic: 'run' | 'asset', id: string): void;
}

/** Events in one transaction. */
const BATCH = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function createExternalSink(deps: ExternalDeps): ExternalRunSink {
  const { db, clock } = deps;
  return {
    async record(events) {
      for (let start = 0; start < events.length; start += BATCH) {
        const batch = events.slice(start, start + BATCH);
        const changed = await db.transaction((tx) => recordBatch(tx, deps, batch));
        for (const id of changed.runs) deps.changed('run', id);
        for (const key of changed.assets) deps.changed('asset', key);
      }
    },
    async recordDatasets(datasets) {
      if (datasets.length === 0) return;
      const last = new Map(
        [...datasets].sort((a, b) => a.at - b.at).map((each) => [each.key, each]),
      );
      await db.transaction((tx) => upsertDatasets(tx, [...last.values()], new Date(clock.now())));
      for (const key of last.keys()) deps.changed('asset', key);
    },
  };
}

async function recordBatch(
  tx: Tx,
  deps: ExternalDeps,
  events: readonly ExternalRunEvent[],
): Promise<{ runs: readonly string[]; assets: readonly string[] }> {
  const now = deps.clock.now();
  const own = await findOwnRuns(tx, parentIds(events));
  const rows = await lockExternalRuns(tx, nameAll(events, own, deps));
  const runs = new Map(rows.map((row) => [nameOf(row.engine, row.external_id), fromRow(row)]));
  const { folded, runEvents } = foldAll(events, runs, own);
  const changed = folded.filter(({ run }) => run !== runs.get(nameOf(run.engine, run.externalId)));
  if (changed.length > 0)
    await updateExternalRuns(
      tx,
      changed.map(({ run }) => toRecord(run)),
    );
  const lineage = lineageOf(folded);
  const edgesAdded = lineage.keys.length > 0 && (await insertLineage(tx, lineage, new Date(now)));
  if (lineage.owners.length > 0) await setOwners(tx, lineage.owners);
  const assets = await recordAssets(tx, seenOfAssets(folded, deps.newId), deps.newId, now);
  await appendRunEvents(tx, runEvents, now);
  if (edgesAdded) await growLineageEpoch(tx);
  return { runs: changed.map(({ run }) => run.id), assets };
}

function parentIds(events: readonly ExternalRunEvent[]): readonly string[] {
  const ids = events.flatMap(({ parent, root }) => [
    parent?.externalId ?? '',
    root?.externalId ?? '',
  ]);
  return [...new Set(ids)].filter((id) => UUID.test(id));
}

/** Every run elsewhere that the events name, those of parents and roots included; once each. */
function nameAll(
  events: readonly ExternalRunEvent[],
  own: ReadonlySet<string>,
  deps: ExternalDeps,
): readonly NamedRun[] {
  const named = new Map<string, NamedRun>();
  const add = (engine: string, externalId: string, job: string, at: number) => {
    const key = nameOf(engine, externalId);
    if (named.has(key)) return;
    named.set(key, {
      id: deps.newId(),
      engine,
      external_id: externalId,
      workflow: job,
      business_key: businessKey({ engine, job, logicalDate: null, parameters: {} }),
      created_at: new Date(at).toISOString(),
    });
  };
  for (const event of events) add(event.engine, event.externalId, event.job, event.at);
  for (const { parent, root, at } of events) {
    if (parent && !own.has(parent.externalId))
      add(parent.engine, parent.externalId, parent.job, at);
    if (root && !own.has(root.externalId)) add(root.engine, root.externalId, root.job, at);
  }
  return [...named.values()];
}

/** Folds the events, earliest first, into the runs; an event that says nothing new gives no run event. */
function foldAll(
  events: readonly ExternalRunEvent[],
  runs: ReadonlyMap<string, FoldedRun>,
  own: ReadonlySet<string>,
) {
  const after = new Map(runs);
  const byRun = new Map<string, ExternalRunEvent[]>();
  const runEvents: Parameters<typeof appendRunEvents>[1][number][] = [];
  const idOf = (of: ExternalRunEvent['parent']) => {
    if (!of) return null;
    if (own.has(of.externalId)) return of.externalId;
    return runs.get(nameOf(of.engine, of.externalId))?.id ?? null;
  };
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    const key = nameOf(event.engine, event.externalId);
    const before = after.get(key);
    if (!before) throw new Error(`the run ${key} was named and is not there`);
    const parentId = idOf(event.parent) ?? idOf(event.root);
    const next = foldEvent(before, event, parentId === before.id ? null : parentId);
    after.set(key, next);
    const known = byRun.get(key);
    if (known) known.push(event);
    else byRun.set(key, [event]);
    if (next !== before) runEvents.push(toRunEvent(next, event));
  }
  const folded = [...byRun].flatMap(([key, ofRun]): FoldedEvents[] => {
    const run = after.get(key);
    return run ? [{ run, events: ofRun }] : [];
  });
  return { folded, runEvents };
}

function nameOf(engine: string, externalId: string): string {
  return `${engine}\n${externalId}`;
}
