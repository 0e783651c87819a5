/** Queries of `reconciler_lease`. Times are the database's, so that servers' clocks do not matter. */
import type { Pool } from 'pg';

/**
 * Takes the leases that are free or over and renews those held, all in one statement.
 * @returns names that `holder` holds now
 */
export async function takeLeases(
  db: Pool,
  names: readonly string[],
  holder: string,
  leaseMs: number,
): Promise<string[]> {
  const { rows } = await db.query(
    `INSERT INTO signalbox.reconciler_lease AS lease (name, holder, expires_at)
     SELECT name, $2, now() + make_interval(secs => $3 / 1000.0)
     FROM unnest($1::text[]) AS wanted (name) ORDER BY name
     ON CONFLICT (name) DO UPDATE
       SET holder = excluded.holder, expires_at = excluded.expires_at,
           acquired_at = CASE WHEN lease.holder = excluded.holder THEN lease.acquired_at ELSE now() END
       WHERE lease.holder = excluded.holder OR lease.expires_at < now()
     RETURNING name`,
    [names, holder, leaseMs],
  );
  return rows.map((row) => row.name);
}

/** Gives up what `holder` holds, so that another server takes over at once. */
export async function releaseLeases(db: Pool, holder: string): Promise<void> {
  await db.query('DELETE FROM signalbox.reconciler_lease WHERE holder = $1', [holder]);
}
