/**
 * The background step that gives environments up: those that were deleted, and those for which no agent has registered
 * for their time. What runs is cancelled first, and its agents are awaited for a while; then they are sent away, and
 * what they held ends without them. Only when nothing is live any more the rows go. Each round begins with what is
 * there, so a server that dies in between costs nothing but time.
 */
import { prefixOf } from '../../domain/environment.ts';
import type { Clock } from '../../domain/time.ts';
import type { Actor, AgentService, Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { findDeleting, findExpired, touchLiveEnvironments } from '../store/environment.ts';
import {
  beginDeletion,
  deleteContents,
  deleteEnvironmentRow,
  findSessions,
  findUnfinished,
  stopAll,
} from '../store/environment-delete.ts';

export interface DeletionDeps {
  readonly db: Db;
  readonly clock: Clock;
  /** Of the names that are stored. */
  readonly agents: Pick<AgentService, 'stop'>;
  cancelRun(id: string, reason: string, actor: Actor): Promise<unknown>;
  readonly others: readonly ((environment: string) => Promise<void>)[];
  log(message: string): void;
}

const EVERY_MS = 1_000;
const SWEEP_EVERY_MS = 30_000;
const AT_ONCE = 500;
/** How long agents may take to confirm that what they run is cancelled. */
const CONFIRM_MS = 20_000;
/** A registration that was under way when the deletion began is over then. */
const SETTLE_MS = 2_000;
const SELF: Actor = { name: 'signalbox' };

export function createEnvironmentDeletion(deps: DeletionDeps): Reconciler {
  const { db, clock, log } = deps;
  let sweptAt = Number.NEGATIVE_INFINITY;

  async function sweep(): Promise<void> {
    if (Math.abs(clock.now() - sweptAt) < SWEEP_EVERY_MS) return;
    sweptAt = clock.now();
    const now = new Date(clock.now());
    await touchLiveEnvironments(db, now);
    for (const name of await findExpired(db, now)) {
      log(`no agent has registered for the environment ${name} for its time: it is deleted`);
      await beginDeletion(db, name, SELF.name, now);
    }
  }

  return {
    name: 'environments',
    everyMs: EVERY_MS,
    async run() {
      await sweep();
      for (const one of await findDeleting(db, new Date(clock.now()))) await goOn(deps, one);
    },
  };
}

/** Takes a deletion as far as it comes now. */
async function goOn(
  deps: DeletionDeps,
  { name, by, forMs }: { readonly name: string; readonly by: string; readonly forMs: number },
): Promise<void> {
  const { db, clock } = deps;
  const prefix = prefixOf(name);
  // What was registered since.
  await stopAll(db, prefix, new Date(clock.now()));
  const unfinished = await findUnfinished(db, prefix, AT_ONCE);
  for (const { id, cancelled } of unfinished) {
    if (!cancelled) await cancel(deps, id, name, by);
  }
  if (unfinished.length > 0 && forMs < CONFIRM_MS) return;
  for (const { publicId } of await findSessions(db, prefix)) {
    await deps.agents.stop(publicId).catch((error: unknown) => {
      deps.log(`a session of the environment ${name} did not end: ${error}`);
    });
  }
  if (forMs < SETTLE_MS || (await findUnfinished(db, prefix, 1)).length > 0) return;
  await deleteContents(db, prefix);
  for (const also of deps.others) await also(name);
  await deleteEnvironmentRow(db, name);
  deps.log(`the environment ${name} was deleted`);
}

async function cancel(
  { cancelRun, log }: DeletionDeps,
  id: string,
  name: string,
  by: string,
): Promise<void> {
  try {
    await cancelRun(id, `the environment ${name} is deleted`, { name: by });
  } catch (error) {
    // It may have ended meanwhile; else the next round tries again.
    log(`run ${id} of the environment ${name} was not cancelled: ${error}`);
  }
}
