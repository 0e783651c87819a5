/**
 * Events are written in the transaction of the change that they tell of: one row for each transaction and kind,
 * whatever their number, so that history costs a row a batch. Their ids come from the row, when they are read.
 */
import type { AssetEvent, RunEvent } from '../../domain/events.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { Tx } from '../store/connection.ts';

const APPEND = `
  INSERT INTO signalbox.event_batch (at, kind, size, events)
  VALUES (to_timestamp($1::float8 / 1000), $2, $3, $4)`;

/** Appends whole run events, as runs of other engines have them. Does nothing for none. */
export async function appendRunEvents(
  tx: Tx,
  events: readonly Omit<RunEvent, 'id'>[],
  now: EpochMs,
): Promise<void> {
  await append(tx, 'run', events, now);
}

/** Appends asset events. Does nothing for none. */
export async function appendAssetEvents(
  tx: Tx,
  events: readonly Omit<AssetEvent, 'id'>[],
  now: EpochMs,
): Promise<void> {
  await append(tx, 'asset', events, now);
}

async function append(
  tx: Tx,
  kind: 'run' | 'asset',
  events: readonly object[],
  now: EpochMs,
): Promise<void> {
  if (events.length === 0) return;
  await tx.execute(APPEND, [now, kind, events.length, JSON.stringify(events)]);
}
