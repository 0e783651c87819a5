/**
 * Follows committed events for who acts on them, so that what ends a run does nothing more for it. The place in the
 * events and what is done about them are one transaction: nothing is missed, and nothing is done twice, whichever
 * server does it.
 */
import type { AnnounceRuns, CreatedRun } from '../runs/trigger.ts';
import type { Reconciler } from '../service.ts';
import type { Db, Tx } from '../store/connection.ts';
import { dropPlace, lockPlace, type Place, savePlace } from '../store/event-batch.ts';
import type { Hub, Topic } from './hub.ts';

const EVERY_MS = 500;
/** Changes that come close together are one look. */
const GATHER_MS = 50;
const MAX_ROUNDS = 200;

export interface FollowerDeps {
  readonly db: Db;
  readonly hub: Hub;
  readonly announceRuns: AnnounceRuns;
  log(message: string): void;
}

/** What is followed, for whom, and what is done about it. */
export interface Following<Row extends Place, Wanted> {
  /** Of the background step. */
  readonly name: string;
  /** Of the place in the events. */
  readonly place: string;
  /** Whose rows say that somebody wants to be followed for. */
  readonly table: Parameters<typeof dropPlace>[2];
  /** Changes after which it is looked at once. */
  readonly topics: readonly Topic[];
  /** What waits while it fails, as the log has it. */
  readonly waiting: string;
  readonly rows: number;
  /** Null where nobody wants anything now. */
  wanted(tx: Tx): Promise<Wanted | null>;
  read(tx: Tx, place: Place, limit: number): Promise<readonly Row[]>;
  /** Does it, and tells the runs that it made. */
  act(tx: Tx, wanted: Wanted, rows: readonly Row[]): Promise<readonly CreatedRun[]>;
}

export interface EventFollower {
  readonly reconciler: Reconciler;
  close(): Promise<void>;
}

export function createEventFollower<Row extends Place, Wanted>(
  deps: FollowerDeps,
  following: Following<Row, Wanted>,
): EventFollower {
  let anybody = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;

  async function follow(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS && !closed; round += 1) {
      const followed = await step(deps.db, following);
      anybody = followed.anybody;
      if (followed.created.length > 0) deps.announceRuns(followed.created);
      if (!followed.more) return;
    }
  }

  function run(): Promise<void> {
    const next = running.then(follow);
    running = next.catch(() => undefined);
    return next;
  }

  const unfollow = deps.hub.onChange(({ topic }) => {
    if (!anybody || closed || timer || !following.topics.includes(topic)) return;
    timer = setTimeout(() => {
      timer = undefined;
      run().catch((error: Error) => deps.log(`${following.waiting} wait: ${error.message}`));
    }, GATHER_MS);
    timer.unref();
  });

  return {
    reconciler: { name: following.name, everyMs: EVERY_MS, run },
    async close() {
      closed = true;
      clearTimeout(timer);
      unfollow();
      await running;
    },
  };
}

interface Followed {
  readonly created: readonly CreatedRun[];
  readonly more: boolean;
  readonly anybody: boolean;
}

function step<Row extends Place, Wanted>(
  db: Db,
  following: Following<Row, Wanted>,
): Promise<Followed> {
  return db.transaction(async (tx) => {
    const place = await lockPlace(tx, following.place);
    if (!place) return { created: [], more: false, anybody: false };
    const wanted = await following.wanted(tx);
    const anybody = wanted !== null;
    if (!anybody) await dropPlace(tx, following.place, following.table);
    const rows = await following.read(tx, place, following.rows);
    const last = rows.at(-1);
    if (!last) return { created: [], more: false, anybody };
    await savePlace(tx, following.place, last);
    const created = wanted === null ? [] : await following.act(tx, wanted, rows);
    return { created, more: rows.length === following.rows, anybody };
  });
}
