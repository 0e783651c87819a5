/** The agents' side of the orchestrator: every call names a session, and fails where it has ended. */
import { randomUUID } from 'node:crypto';
import type {
  AssetInputReply,
  AssetValue,
  DynamicPartitionsRequest,
  RecordedVersion,
} from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { keysOfTask } from '../assets/partitions/of-task.ts';
import { poolNotices } from '../catalog/pools.ts';
import type { Hub } from '../events/hub.ts';
import type { ResultCalls } from '../results/contract.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { TriggerRuns } from '../runs/trigger-lane.ts';
import { waitForRun } from '../runs/wait.ts';
import type { Sensors } from '../sensors/create.ts';
import type { AgentService, WorkflowService } from '../service.ts';
import { listAgents } from '../store/agent-list.ts';
import { findHeld, loseSession, stopSession } from '../store/agent-session.ts';
import type { Db } from '../store/connection.ts';
import { holdsTask } from '../store/once.ts';
import type { AgentWaits } from '../waits/agent-waits.ts';
import type { Claims } from './claims.ts';
import { complete } from './complete.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Lanes } from './lanes.ts';
import { once } from './once.ts';
import { readMappedResult, readResult } from './results.ts';
import type { Sessions } from './sessions.ts';
import { recordedSteps, recordSteps } from './steps.ts';
import { takeBack } from './take-back.ts';

export interface AgentServiceDeps {
  readonly hot: Db;
  readonly db: Db;
  readonly infos: RunInfos;
  readonly hub: Hub;
  readonly lanes: Lanes;
  readonly claims: Claims;
  readonly heartbeats: Heartbeats;
  readonly sessions: Sessions;
  readonly workflows: Pick<WorkflowService, 'register'>;
  readonly leaseMs: number;
  readonly triggerRuns: TriggerRuns;
  readonly waits: AgentWaits;
  readonly sensors: Pick<Sensors, 'looks' | 'end'>;
  assetValue(key: string): Promise<AssetValue | null>;
  assetHistory(key: string): Promise<readonly RecordedVersion[]>;
  /** What the task `downstream` is given of an upstream, for the partitions that it makes. */
  assetInput(
    upstream: string,
    downstream: string,
    keys: readonly string[] | null,
  ): Promise<AssetInputReply>;
  changePartitions(request: DynamicPartitionsRequest, by: string): Promise<void>;
  log(message: string): void;
}

/** Heartbeats in the time of a lease: two may be lost. */
const BEATS_PER_LEASE = 3;

/** All but what concerns large results, which the agents' service gets from elsewhere. */
export function createAgents(deps: AgentServiceDeps): Omit<AgentService, keyof ResultCalls> {
  const { hot, infos, sessions, hub } = deps;
  const dispatch = { db: hot, infos, lanes: deps.lanes };
  const takeBackDeps = {
    ...dispatch,
    log: deps.log,
    changed: (topic: 'agent', id: string) => hub.changed(topic, id),
  };
  return {
    ...createReads(deps),
    ...createWaitCalls(deps),
    list: () => listAgents(deps.db),
    register: (request) => register(deps, request),
    async claim(sessionId, request, signal) {
      return deps.claims.claim(await sessions.get(sessionId), request, signal);
    },
    async complete(sessionId, request) {
      return complete(dispatch, await sessions.get(sessionId), request);
    },
    async recordSteps(sessionId, steps) {
      await sessions.get(sessionId);
      return recordSteps(hot, steps);
    },
    async heartbeat(sessionId, report) {
      const session = await sessions.getToRenew(sessionId);
      const reply = await deps.heartbeats.beat(session, report);
      if (!reply.sessionValid) sessions.forget(sessionId);
      return reply;
    },
    async once(sessionId, request) {
      return once(dispatch, await sessions.get(sessionId), request);
    },
    async stop(sessionId) {
      const session = await sessions.get(sessionId);
      sessions.forget(sessionId);
      if (!(await stopSession(hot, session.id))) return;
      hub.changed('agent', session.name);
      await takeBack(takeBackDeps, await findHeld(hot, [session.id], 0), 'handed-back');
    },
    async died(sessionId, { reason, culprit }) {
      const session = await sessions.get(sessionId);
      sessions.forget(sessionId);
      if (!(await loseSession(hot, session.id))) return;
      deps.log(`agent ${session.name} died: ${reason}`);
      hub.changed('agent', session.name);
      const lost = `agent ${session.name} died: ${reason}`;
      const held = await findHeld(hot, [session.id], 0);
      const guilty = held.filter(({ token }) => token === culprit?.token);
      await takeBack(takeBackDeps, guilty, 'failed', culprit?.message);
      const others = held.filter(({ token }) => token !== culprit?.token);
      await takeBack(takeBackDeps, others, 'lost', lost);
    },
  };
}

/** Registers what an agent defines, in a new session or in the one that it has. */
async function register(
  deps: AgentServiceDeps,
  request: Parameters<AgentService['register']>[0],
): ReturnType<AgentService['register']> {
  const { sessions, hub } = deps;
  const { definitions, fileErrors, name } = request;
  const publicId =
    request.session === undefined ? randomUUID() : (await sessions.get(request.session)).publicId;
  await deps.workflows.register(definitions, fileErrors, name, publicId);
  // Before the session is open: one whose registration fails would stay until its lease is over.
  const notices = await poolNotices(deps.db, definitions);
  const session =
    request.session === undefined
      ? await sessions.open(request, publicId, deps.leaseMs)
      : await sessions.redefine(request.session, request);
  hub.changed('agent', session.name);
  if (request.session !== undefined) hub.redefined([session.id]);
  // What waited for an agent that has it may start now.
  hub.ready(session.queues);
  return {
    ...(notices.length === 0 ? {} : { notices }),
    sessionId: session.publicId,
    leaseMs: deps.leaseMs,
    heartbeatEveryMs: Math.floor(deps.leaseMs / BEATS_PER_LEASE),
  };
}

type WaitCalls = 'claimLooks' | 'endLook' | 'wait' | 'suspend' | 'emit';

/** Waits of flows, and looks of sensors. */
function createWaitCalls({
  sessions,
  sensors,
  waits,
}: AgentServiceDeps): Pick<AgentService, WaitCalls> {
  return {
    async claimLooks(sessionId, request, signal) {
      return sensors.looks.claim(await sessions.get(sessionId), request, signal);
    },
    async endLook(sessionId, end) {
      await sessions.get(sessionId);
      return sensors.end(end);
    },
    async wait(sessionId, request, signal) {
      await sessions.get(sessionId);
      return waits.wait(request, signal);
    },
    async suspend(sessionId, request) {
      await sessions.get(sessionId);
      return waits.suspend(request);
    },
    async emit(sessionId, request) {
      await sessions.get(sessionId);
      return waits.emit(request);
    },
  };
}

type AssetCalls = 'assetValue' | 'assetHistory' | 'assetInput' | 'changePartitions';

/** What tasks ask for while they run. */
function createReads(
  deps: AgentServiceDeps,
): Pick<AgentService, 'result' | 'steps' | 'startSubflow' | 'waitRun' | AssetCalls> {
  const { db, infos, sessions } = deps;
  return {
    async result(sessionId, runId, taskKey) {
      await sessions.get(sessionId);
      return readResult({ db, infos }, runId, taskKey);
    },
    async steps(sessionId, runId) {
      await sessions.get(sessionId);
      return recordedSteps(db, runId);
    },
    async startSubflow(sessionId, { runId, token, key, workflow, parameters }) {
      await sessions.get(sessionId);
      if (!(await holdsTask(deps.hot, runId, token))) throw new SignalboxError('lease-lost');
      const [made] = await deps.triggerRuns({
        workflow,
        requests: [{ parameters, idempotencyKey: `subflow:${runId}:${key}` }],
        trigger: 'subflow',
        parentRunId: runId,
      });
      if (!made) throw new Error('a trigger made no run');
      return made.run;
    },
    async waitRun(sessionId, runId, waitMs, signal) {
      await sessions.get(sessionId);
      const reply = await waitForRun(deps, runId, waitMs, signal);
      if (reply.result !== null || reply.run.state !== 'succeeded') return reply;
      return { ...reply, result: await readMappedResult(deps, runId) };
    },
    async assetValue(sessionId, assetKey) {
      await sessions.get(sessionId);
      return deps.assetValue(assetKey);
    },
    async assetHistory(sessionId, assetKey) {
      await sessions.get(sessionId);
      return deps.assetHistory(assetKey);
    },
    async assetInput(sessionId, { runId, taskKey, assetKey, partition }) {
      await sessions.get(sessionId);
      await infos.load(db, [runId]);
      const partitions = infos.get(runId)?.partitions ?? null;
      const keys = partition === undefined ? keysOfTask(partitions, taskKey) : [partition];
      return deps.assetInput(assetKey, taskKey, keys);
    },
    async changePartitions(sessionId, request) {
      const { name } = await sessions.get(sessionId);
      await deps.changePartitions(request, `agent:${name}`);
    },
  };
}
