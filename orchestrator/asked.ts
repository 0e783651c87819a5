/** What asks for runs by itself, and what runs wait for, put together: backfills, sensors, runs after runs, waits. */
import { type BackfillsDeps, createBackfills } from './backfill/create.ts';
import { createSensors, type Sensors } from './sensors/create.ts';
import type { Orchestrator, Reconciler } from './service.ts';
import type { Db } from './store/connection.ts';
import { createRunTriggers } from './triggers/follow.ts';
import type { AgentWaits } from './waits/agent-waits.ts';
import { createWaits, type WaitsDeps } from './waits/service.ts';

export interface AskedDeps extends BackfillsDeps {
  /** Connections that may read in the order of an index. */
  readonly claims: Db;
  readonly runs: BackfillsDeps['runs'] & WaitsDeps['runs'];
}

export interface Asked {
  readonly services: Pick<Orchestrator, 'backfills' | 'sensors' | 'signals'>;
  /** What agents ask for. */
  readonly agent: { readonly waits: AgentWaits; readonly sensors: Sensors };
  readonly reconcilers: readonly Reconciler[];
  close(): Promise<void>;
}

export function createAsked(deps: AskedDeps): Asked {
  const backfills = createBackfills(deps);
  const sensors = createSensors(deps);
  const waits = createWaits(deps);
  const runTriggers = createRunTriggers({
    ...deps,
    defaultParameters: (schema) => deps.parameters.defaults(schema),
  });
  return {
    services: {
      backfills: backfills.service,
      sensors: sensors.service,
      signals: waits.service,
    },
    agent: { waits: waits.agent, sensors },
    reconcilers: [
      backfills.reconciler,
      ...waits.reconcilers,
      sensors.reconciler,
      runTriggers.reconciler,
    ],
    async close() {
      await Promise.all([
        ...[backfills.close(), sensors.close(), runTriggers.close(), waits.close()],
      ]);
    },
  };
}
