/**
 * The orchestrator put together over one PostgreSQL: what is defined and when it is due (the catalog), runs,
 * dispatch, and the events that others follow. Any number of servers may hold one each.
 */
import type { Clock } from '../domain/time.ts';
import { createAsked } from './asked.ts';
import { createPartitionedRuns } from './assets/partitions/scheduled.ts';
import { createAutomation } from './automation/create.ts';
import { createCatalog } from './catalog/create.ts';
import { createHooks } from './deadlines/create.ts';
import { createAgentLevers } from './dispatch/agent-levers.ts';
import { createAgents } from './dispatch/agents.ts';
import { createDispatch } from './dispatch/create.ts';
import { createEnvironments } from './environments/create.ts';
import { createEventRetention, createEventSource } from './events/source.ts';
import { createKeyKeeper } from './limits/run-keys.ts';
import type { BlobStore } from './results/blob-store.ts';
import { createResults } from './results/create.ts';
import { createRetention } from './retention/service.ts';
import { createRunControl } from './runs/control.ts';
import { createRunLevers } from './runs/levers.ts';
import { createParameters } from './runs/parameters.ts';
import { createPauseReconciler } from './runs/pause.ts';
import { createRunInfos } from './runs/run-info.ts';
import { createRunService } from './runs/service.ts';
import { type AnnounceRuns, createRunMaker } from './runs/trigger.ts';
import { createTriggerLane } from './runs/trigger-lane.ts';
import { createVersions } from './runs/versions.ts';
import { createPastTasks } from './schedule/past.ts';
import type { Orchestrator } from './service.ts';
import { connect } from './store/connection.ts';

export interface OrchestratorOptions {
  readonly databaseUrl: string;
  readonly clock: Clock;
  log(message: string): void;
  /** How long an agent may be silent before its tasks are given to others; 15 s unless told. */
  readonly leaseMs?: number;
  /** Connections to PostgreSQL; 16 unless told. */
  readonly poolSize?: number;
  /** Addresses that webhooks may be sent to, with what lies below them; none unless told. */
  readonly webhooksTo?: readonly string[];
  /** Where large results lie; in this machine's temporary folder unless told. */
  readonly resultStore?: BlobStore;
}

const LEASE_MS = 15_000;

/** Connects and starts listening. The schema must be there. */
export async function createOrchestrator(options: OrchestratorOptions): Promise<Orchestrator> {
  const core = await createCore(options);
  const around = createAround(core, options);
  const { catalog, dispatch, hot, db, events, runs } = core;
  const { asked, hooks, retention, results, environments } = around;
  return {
    ...{ runs, events, runControl: core.runControl, agents: environments.agents },
    environments: environments.service,
    results: results.service,
    ...asked.services,
    ...hooks.services,
    ...servicesOf(core),
    retention: retention.service,
    automation: around.automation.service,
    reconcilers: [
      ...catalog.reconcilers,
      ...dispatch.reconcilers,
      createPauseReconciler(hot),
      createKeyKeeper({
        ...{ db, log: options.log },
        cancelRun: (id, reason) => runs.cancel(id, reason, { name: 'signalbox' }),
      }),
      createPastTasks(db, (queues) => dispatch.hub.ready(queues)),
      ...asked.reconcilers,
      ...hooks.reconcilers,
      around.automation.reconciler,
      createEventRetention(db, events),
      ...retention.reconcilers,
      ...results.reconcilers,
      environments.reconciler,
    ],
    onChange: dispatch.hub.onChange,
    async close() {
      await asked.close();
      await hooks.close();
      await around.automation.close();
      await catalog.close();
      await dispatch.close();
      await core.connection.close();
    },
  };
}

type Core = Awaited<ReturnType<typeof createCore>>;

/** Definitions, runs and dispatch: what everything else stands on. */
async function createCore(options: OrchestratorOptions) {
  const { clock, log, leaseMs = LEASE_MS } = options;
  const connection = connect(options);
  const { db, hot } = connection;
  const versions = createVersions();
  const infos = createRunInfos(versions);
  const parameters = createParameters();
  const createRuns = createRunMaker({ clock, versions, infos });
  const events = createEventSource(db, versions);
  const announceRuns: AnnounceRuns = (created) => {
    for (const { run, created: isNew } of created) {
      const version = isNew ? infos.get(run.id)?.version : undefined;
      if (version) events.made(run, version);
    }
    dispatch.announce(created);
  };
  const catalog = createCatalog({
    ...{ db, clock, log, createRuns, announceRuns },
    defaultParameters: (schema) => parameters.defaults(schema),
    cancelRun: (id, reason) => runs.cancel(id, reason, { name: 'signalbox' }),
    changed: (topic, id) => dispatch.hub.changed(topic, id),
  });
  const dispatch = await createDispatch({
    ...{ connection, clock, log, leaseMs, infos },
    recordAssetOutcomes: catalog.recordAssetOutcomes,
    ceilings: () => catalog.pools.ceilings(),
  });
  const { hub } = dispatch;
  const triggerRuns = createTriggerLane({
    ...{ db: hot, parameters, createRuns, announceRuns },
    hand: dispatch.hand,
  });
  const runControl = createRunControl({
    recordAssetOutcomes: catalog.recordAssetOutcomes,
    ...{ db: hot, general: db, clock, infos, hub, parameters, createRuns, announceRuns },
    promote: (workflow) => dispatch.promoter.ended(workflow),
    waits: (workflow) => dispatch.promoter.waits(workflow),
  });
  const runs = createRunService({ general: db, versions, triggerRuns, control: runControl });
  return {
    ...{ connection, db, hot, versions, infos, parameters, createRuns, announceRuns, events },
    ...{ catalog, dispatch, triggerRuns, runControl, runs, leaseMs },
  };
}

/** What asks for runs, what is told of them, what agents ask for, and what is kept. */
function createAround(core: Core, options: OrchestratorOptions) {
  const { clock, log } = options;
  const { db, hot, infos, parameters, createRuns, announceRuns, runs, dispatch, catalog } = core;
  const { hub, sessions } = dispatch;
  const results = createResults({ db, infos, sessions, clock }, options.resultStore);
  const asked = createAsked({
    ...{ db, clock, parameters, announceRuns, runs, hub, log },
    createRuns: createPartitionedRuns(createRuns),
    claims: core.connection.claims,
  });
  const hooks = createHooks({
    ...{ db, clock, infos, hub, log, createRuns, announceRuns },
    ...{ versions: core.versions, control: core.runControl },
    webhooksTo: options.webhooksTo ?? [],
  });
  const agents = createAgents({
    ...{ hot, db, infos, hub, log, sessions },
    ...{ leaseMs: core.leaseMs, triggerRuns: core.triggerRuns },
    ...{ lanes: dispatch.lanes, claims: dispatch.claims, heartbeats: dispatch.heartbeats },
    workflows: catalog.workflows,
    ...asked.agent,
    assetValue: catalog.assetValue,
    assetHistory: catalog.assetHistory,
    assetInput: catalog.assetInput,
    changePartitions: catalog.changePartitions,
  });
  const retention = createRetention({ db, clock });
  const environments = createEnvironments({
    ...{ db, clock, infos, sessions, log, agents: { ...agents, ...results.calls } },
    ...{ assets: catalog.assets, assetInput: catalog.assetInput },
    cancelRun: (id, reason, actor) => runs.cancel(id, reason, actor),
  });
  const automation = createAutomation({
    ...{ db, clock, hub, log, createRuns, announceRuns, versions: core.versions },
  });
  return { results, asked, hooks, retention, environments, automation };
}

/** Services of the catalog, and the levers of runbooks. */
function servicesOf({ catalog, dispatch, db, runs, triggerRuns }: Core) {
  const { workflows, schedules, assets, quality, pools, queues, external, levers } = catalog;
  return {
    ...{ workflows, schedules, assets, quality, pools, external },
    queues: {
      list: () => queues.list(),
      async set(...[name, value, actor]: Parameters<typeof queues.set>) {
        const queue = await queues.set(name, value, actor);
        await dispatch.limitsChanged(name);
        return queue;
      },
    },
    levers: {
      assets: levers.assets,
      runs: createRunLevers({ db, runs, triggerRuns }),
      agents: createAgentLevers(dispatch.takeBack),
    },
  };
}
