/**
 * What happens while a workflow is paused. Airflow kept it all until the end of the pause, and later dropped it all;
 * both surprised people. Here each workflow says it (`whilePaused`), and what is skipped is told in the ledger of
 * expected runs: one row for each pause, with the number of events.
 */
import type { Tx } from '../store/connection.ts';
import { noteSkippedEvents } from '../store/expected-run.ts';
import { queueRuns, type Subscriber } from '../store/workflow-on.ts';
import { concerns, type Happening, type Wanted } from './match.ts';

const MOST_QUEUED = 1_000;

/** Keeps what paused workflows are to run for, and notes what they skip. */
export async function keepForLater(
  tx: Tx,
  of: {
    readonly wanted: readonly Wanted[];
    readonly skipping: readonly Subscriber[];
    readonly happenings: readonly Happening[];
  },
  now: Date,
): Promise<void> {
  const skipped = new Map<Subscriber, number>();
  const add = (subscriber: Subscriber, count: number) => {
    if (count > 0) skipped.set(subscriber, (skipped.get(subscriber) ?? 0) + count);
  };
  for (const subscriber of of.skipping) {
    add(subscriber, of.happenings.filter((one) => concerns(subscriber, one)).length);
  }
  if (of.wanted.length > 0) {
    const subscribers = new Map(
      of.wanted.map(({ subscriber }) => [subscriber.workflow, subscriber]),
    );
    const rows = of.wanted.map(({ subscriber: { workflow }, key, causes }) => ({
      ...{ workflow, key, causes },
    }));
    const keep = [...subscribers.values()].map(({ workflow, whilePaused }) => ({
      workflow,
      most: whilePaused === 'all' ? MOST_QUEUED : 1,
    }));
    for (const [workflow, count] of await queueRuns(tx, rows, keep, now)) {
      const subscriber = subscribers.get(workflow);
      if (subscriber) add(subscriber, count);
    }
  }
  await noteSkippedEvents(
    tx,
    [...skipped].map(([{ workflow, paused_at }, events]) => ({
      ...{ workflow, events, pausedAt: paused_at ?? now },
    })),
    now,
  );
}
