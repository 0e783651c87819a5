/**
 * Wakes tasks that were given back while they wait for runs which they started. Who hears of ended runs looks for those
 * that wait for them at once; a background step looks at all now and then, since a word may be lost. While nobody waits,
 * ends of runs cost nothing here.
 */
import type { Hub } from '../events/hub.ts';
import type { Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { hasSubflowWaits, wakeAfterRuns } from '../store/subflow-wait.ts';

const EVERY_MS = 2_000;
/** Ends that come close together are one look. */
const GATHER_MS = 20;
const AT_ONCE = 1_000;
/** More ends than these are one look at all that wait. */
const MAX_HEARD = 500;

export interface SubflowWaits {
  readonly reconciler: Reconciler;
  /** Somebody waits from now on. */
  begin(): void;
  close(): Promise<void>;
}

export function createSubflowWaits(deps: {
  readonly db: Db;
  readonly hub: Hub;
  log(message: string): void;
}): SubflowWaits {
  const { db, hub } = deps;
  const heard = new Set<string>();
  let anybody = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> = Promise.resolve();

  async function wake(children: readonly string[] | null): Promise<void> {
    const woken = await wakeAfterRuns(db, children, AT_ONCE);
    for (const { runId } of woken) hub.changed('run', runId);
    hub.ready(new Set(woken.map(({ queue }) => queue)));
    if (woken.length === AT_ONCE) await wake(children);
  }

  function look(): void {
    timer = undefined;
    const ids = [...heard];
    heard.clear();
    working = working
      .then(() => wake(ids.length > MAX_HEARD || ids.includes('*') ? null : ids))
      .catch((error: Error) => deps.log(`what waits for runs waits on: ${error.message}`));
  }

  const unfollow = hub.onChange(({ topic, id }) => {
    if (topic !== 'run' || !anybody || closed) return;
    heard.add(id);
    if (timer) return;
    timer = setTimeout(look, GATHER_MS);
    timer.unref();
  });

  return {
    begin() {
      anybody = true;
    },
    reconciler: {
      name: 'subflow-waits',
      everyMs: EVERY_MS,
      async run() {
        anybody = await hasSubflowWaits(db);
        if (anybody) await wake(null);
      },
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      unfollow();
      await working;
    },
  };
}
