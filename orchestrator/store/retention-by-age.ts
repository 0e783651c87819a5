/** Deletes what is older than it is kept, of tables that nothing else bounds: so many rows at a time. */
import type { Tx } from './connection.ts';

/** What was late; what is still under way, or waits to be acted on, stays. */
export function deleteMisses(db: Tx, before: Date, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.deadline_miss WHERE id IN (
       SELECT m.id FROM signalbox.deadline_miss m
       WHERE m.noticed_at < $1
         AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = m.run_id)
       ORDER BY m.noticed_at LIMIT $2)`,
    [before, limit],
  );
}

/** Callbacks; webhooks that are still to be sent stay, and such as a run of code is under way for. */
export function deleteCallbacks(db: Tx, before: Date, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.callback WHERE key IN (
       SELECT c.key FROM signalbox.callback c
       WHERE c.created_at < $1 AND (c.url IS NULL OR c.state <> 'pending')
         AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.run_id = c.callback_run_id)
       ORDER BY c.created_at LIMIT $2)`,
    [before, limit],
  );
}

/** Cached results that nobody gave a time. */
export function deleteCachedForGood(db: Tx, before: Date, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.result_cache WHERE (workflow, name, hash) IN (
       SELECT workflow, name, hash FROM signalbox.result_cache
       WHERE expires_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)`,
    [before, limit],
  );
}

/**
 * Versions that were last a workflow's own, or asked for, before a moment. Runs that were made of one are of that time
 * or older (a day is allowed for clocks and long transactions), so that the look at them is a short range of an index.
 */
export function deleteVersions(db: Tx, before: Date, limit: number): Promise<number> {
  return db.execute(
    `DELETE FROM signalbox.workflow_version d WHERE d.id IN (
       SELECT v.id FROM signalbox.workflow_version v
       WHERE v.last_used_at < $1
         AND NOT EXISTS (SELECT FROM signalbox.workflow w WHERE w.name = v.workflow AND w.version_id = v.id)
         AND NOT EXISTS (
           SELECT FROM signalbox.run r
           WHERE r.workflow = v.workflow AND r.id < signalbox.id_from(v.last_used_at + interval '1 day')
             AND r.version_id = v.id)
         AND NOT EXISTS (SELECT FROM signalbox.run_live l WHERE l.workflow = v.workflow AND l.version_id = v.id)
       ORDER BY v.last_used_at LIMIT $2)
     AND d.last_used_at < $1`,
    [before, limit],
  );
}
