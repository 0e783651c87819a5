/** Deadlines and callbacks put together: what is looked at when its moment comes, and what is told of it. */
import type { Clock } from '../../domain/time.ts';
import { createCallbackFollower } from '../callbacks/follow.ts';
import { createCallbackService } from '../callbacks/service.ts';
import { createWebhooks } from '../callbacks/webhooks.ts';
import type { Hub } from '../events/hub.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { AnnounceRuns, CreateRuns } from '../runs/trigger.ts';
import type { Versions } from '../runs/versions.ts';
import type { Orchestrator, Reconciler, RunControlService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { noteEnds } from '../store/deadline-miss.ts';
import { actOnMisses } from './act.ts';
import { lookAtDue } from './due.ts';
import { lookAtExpected } from './expected.ts';
import { createDeadlineService } from './service.ts';

export interface HooksDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly versions: Versions;
  readonly infos: RunInfos;
  readonly hub: Hub;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
  readonly control: RunControlService;
  readonly webhooksTo: readonly string[];
  log(message: string): void;
}

export interface Hooks {
  readonly services: Pick<Orchestrator, 'deadlines' | 'callbacks'>;
  readonly reconcilers: readonly Reconciler[];
  close(): Promise<void>;
}

const EVERY_MS = 500;
const ENDS_EVERY_MS = 2_000;
const ENDS_AT_ONCE = 500;
/** Of one look; what is left is due at the next one. */
const MAX_ROUNDS = 100;

export function createHooks(deps: HooksDeps): Hooks {
  const { db } = deps;
  const callbacks = createCallbackFollower(deps);
  const webhooks = createWebhooks(deps);
  return {
    services: {
      deadlines: createDeadlineService(db, deps.versions),
      callbacks: createCallbackService(db),
    },
    reconcilers: [
      { name: 'deadlines', everyMs: EVERY_MS, run: () => look(deps) },
      {
        name: 'deadline-ends',
        everyMs: ENDS_EVERY_MS,
        async run() {
          while ((await noteEnds(db, ENDS_AT_ONCE)) === ENDS_AT_ONCE);
        },
      },
      callbacks.reconciler,
      webhooks.reconciler,
    ],
    async close() {
      await Promise.all([callbacks.close(), webhooks.close()]);
    },
  };
}

async function look(deps: HooksDeps): Promise<void> {
  const { db, clock, infos } = deps;
  await inRounds(() => db.transaction((tx) => lookAtDue(deps, tx, clock.now())));
  await inRounds(() => db.transaction((tx) => lookAtExpected(tx, infos, clock.now())));
  await actOnMisses(deps);
}

/** @param step tells whether there may be more */
async function inRounds(step: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS && (await step()); round += 1);
}
