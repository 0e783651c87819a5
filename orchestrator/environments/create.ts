/** Environments put together: around the agents' service, beside everything else. */
import type { AssetInputReply } from '../../domain/agent-protocol.ts';
import type { Clock } from '../../domain/time.ts';
import type { Sessions } from '../dispatch/sessions.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Actor, AgentService, AssetService, Reconciler } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { createEnvironmentAgents } from './agent-calls.ts';
import type { EnvironmentService } from './contract.ts';
import { createEnvironmentDeletion } from './deletion.ts';
import { createDiff } from './diff.ts';
import { createKnownEnvironments } from './known.ts';
import { createReadInputs } from './read-inputs.ts';
import { createRegistrations } from './registrations.ts';
import { createEnvironmentService } from './service.ts';

export interface EnvironmentsDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly infos: RunInfos;
  readonly sessions: Sessions;
  readonly agents: AgentService;
  readonly assets: AssetService;
  assetInput(
    upstream: string,
    downstream: string,
    keys: readonly string[] | null,
    edge?: string,
  ): Promise<AssetInputReply>;
  cancelRun(id: string, reason: string, actor: Actor): Promise<unknown>;
  log(message: string): void;
}

export function createEnvironments(deps: EnvironmentsDeps): {
  readonly service: EnvironmentService;
  readonly agents: AgentService;
  readonly reconciler: Reconciler;
} {
  const { db, clock, infos, sessions } = deps;
  const known = createKnownEnvironments(db, clock);
  const { environmentOf, ...agents } = createEnvironmentAgents(deps.agents, {
    ...{ db, infos, sessions },
    registrations: createRegistrations({
      ...{ db, clock },
      endSession: (sessionId) => deps.agents.stop(sessionId),
    }),
    inputs: createReadInputs({ db, clock, infos, known, assetInput: deps.assetInput }),
  });
  const others: ((environment: string) => Promise<void>)[] = [];
  const reconciler = createEnvironmentDeletion({ ...deps, others });
  const service = createEnvironmentService({
    ...{ db, clock, known, ofSession: environmentOf },
    diff: async (name) => {
      await service.require(name, false);
      return diff(name);
    },
    add: (deletion) => void others.push(deletion),
  });
  const diff = createDiff({ db, assets: deps.assets });
  return { service, agents, reconciler };
}
