/** Rows of `event_batch` in the order of their transactions, and the places up to which they were followed. */
import type { Tx } from './connection.ts';

/** Behind a row: its transaction and its number in the table. */
export interface Place {
  readonly xid: string;
  readonly id: string;
}

/**
 * A SELECT of rows behind the place ($1, $2), at most $3, below the oldest transaction that is still under way. The
 * order names the table: a bare `xid` would be the text that is selected under that name, by which 1000 comes before
 * 999.
 */
export function rowsAfter(columns: string): string {
  return `
    SELECT ${columns} FROM signalbox.event_batch b
    WHERE (b.xid, b.id) > ($1::text::xid8, $2::bigint) AND b.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY b.xid, b.id LIMIT $3`;
}

const WATERMARK = /^(\d{1,20}):(\d{1,19})$/;

/** Reads a watermark; undefined for what is none. */
export function placeOf(watermark: string | null | undefined): Place | undefined {
  const [, xid, id] = WATERMARK.exec(watermark ?? '') ?? [];
  return xid === undefined || id === undefined ? undefined : { xid, id };
}

export function watermarkOf({ xid, id }: Place): string {
  return `${xid}:${id}`;
}

/** Begins to follow, unless that was begun: what happens from this transaction on counts. */
export async function beginPlace(tx: Tx, follower: string): Promise<void> {
  await tx.execute(
    `INSERT INTO signalbox.follower (name, watermark)
     SELECT $1, (pg_snapshot_xmin(pg_current_snapshot())::text::numeric - 1)::text || ':9223372036854775807'
     ON CONFLICT (name) DO NOTHING`,
    [follower],
  );
}

/** Takes the place; undefined where another server holds it, or nobody ever began. */
export async function lockPlace(tx: Tx, follower: string): Promise<Place | undefined> {
  const [row] = await tx.query<{ watermark: string }>(
    'SELECT watermark FROM signalbox.follower WHERE name = $1 FOR UPDATE SKIP LOCKED',
    [follower],
  );
  return placeOf(row?.watermark);
}

export async function savePlace(tx: Tx, follower: string, place: Place): Promise<void> {
  await tx.execute(
    'UPDATE signalbox.follower SET watermark = $2, saved_at = now() WHERE name = $1',
    [follower, watermarkOf(place)],
  );
}

/** Gives the place up where nobody stands in the table any more: nothing is to be followed, or kept. */
export async function dropPlace(
  tx: Tx,
  follower: string,
  table: 'workflow_on' | 'workflow_callback' | 'asset_automation',
): Promise<void> {
  await tx.execute(
    `DELETE FROM signalbox.follower WHERE name = $1 AND NOT EXISTS (SELECT FROM signalbox.${table})`,
    [follower],
  );
}
