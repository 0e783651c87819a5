/** What automation has held back for long, as callbacks of the asset are told it. Pure. */
import type { CallbackEvent } from '../../domain/callback.ts';
import type { AssetEvent } from '../../domain/events.ts';
import type { EventRow } from '../store/callback.ts';

/** What the event says beside its fields. */
interface Detail {
  readonly code: string;
  readonly message: string;
  readonly upstream: string | null;
  readonly heldSince: string;
}

export function heldIn({ xid, id, kind, events }: EventRow): readonly CallbackEvent[] {
  if (kind !== 'asset' || events === null) return [];
  const all = JSON.parse(events) as readonly Omit<AssetEvent, 'id'>[];
  return all.flatMap((event, index) =>
    event.type === 'automation-held' ? [toHeldEvent(event, `${xid}-${id}-${index}`)] : [],
  );
}

function toHeldEvent(
  { assetKey, runId, partition, at, detail }: Omit<AssetEvent, 'id'>,
  key: string,
): CallbackEvent {
  const { code, message, upstream, heldSince } = JSON.parse(detail) as Detail;
  // No run is held back, but the asset: a name of its own, so that nobody takes it for one.
  const name = `automation-held:${assetKey}:${partition === '' ? '' : `${partition}:`}${heldSince}`;
  return {
    ...{ key: `${name}:${key}`, callback: '', outcome: 'held', workflow: assetKey },
    ...{ runId: name, task: assetKey, attempt: 0, at: new Date(at).toISOString() },
    ...{ logicalDate: null, parameters: {}, error: message },
    held: {
      ...{ since: heldSince, reason: code, upstream },
      ...{ runId: runId === '' ? null : runId, partition: partition === '' ? null : partition },
    },
  };
}
