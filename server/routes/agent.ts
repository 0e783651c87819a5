/** The agents' side, exactly as `domain/agent-protocol.ts` says. No call is audited or traced: they never end. */
import { Type } from 'typebox';
import type {
  AssetHistoryReply,
  AssetInputReply,
  AssetValueReply,
  ClaimReply,
  CompleteReply,
  HeartbeatReply,
  OnceReply,
  RecordedSteps,
  RegisterReply,
  ResultReply,
  RunWaitReply,
  StepsReply,
} from '../../domain/agent-protocol.ts';
import { qualify } from '../../domain/environment.ts';
import type { Run } from '../../domain/run.ts';
import type { LookEndReply, LooksReply } from '../../domain/sensor.ts';
import type { EventReceipt, SuspendReply, WaitReply } from '../../domain/wait.ts';
import { type AgentTelemetry, createAgentTelemetry } from '../agent-telemetry.ts';
import type { App } from '../http/app-type.ts';
import { closeSignal } from '../http/close-signal.ts';
import { inShort } from '../next-tasks.ts';
import type { Parts } from '../parts.ts';
import * as bodies from '../schemas/agent-protocol.ts';
import { Key } from '../schemas/parts.ts';

const tags = ['agent protocol'];
const config = { role: 'agent', audit: false, trace: false } as const;
const bodyLimit = 64 * 1024 * 1024;

const SessionId = Type.String({ minLength: 1, maxLength: 100 });
const BySession = Type.Object({ sessionId: SessionId });
const ByRun = Type.Object({ sessionId: SessionId, runId: SessionId });
const ByTask = Type.Object({ sessionId: SessionId, runId: SessionId, taskKey: Key });
const ByAsset = Type.Object({ sessionId: SessionId, key: Key });
const ByInput = Type.Object({ sessionId: SessionId, key: Key, runId: SessionId, taskKey: Key });

function reply<T>() {
  return { 200: Type.Unsafe<T>({ type: 'object' }) };
}

export function agentRoutes(app: App, parts: Parts): void {
  const telemetry = createAgentTelemetry(parts);
  sessionRoutes(app, parts, telemetry);
  workRoutes(app, parts, telemetry);
  waitRoutes(app, parts);
  readRoutes(app, parts);
  diedRoute(app, parts);
}

function sessionRoutes(app: App, parts: Parts, telemetry: AgentTelemetry): void {
  const { agents } = parts.orchestrator;
  app.get(
    '/agent/settings',
    {
      config,
      schema: {
        ...{ tags, summary: 'What an agent needs to know of the server' },
        response: reply<{ otlpPort: number | null }>(),
      },
    },
    async () => ({ otlpPort: parts.otlpPort() }),
  );
  app.post(
    '/agent/register',
    {
      ...{ config, bodyLimit },
      schema: { tags, body: bodies.RegisterBody, response: reply<RegisterReply>() },
    },
    async (request) => {
      const registered = await agents.register(request.body);
      const { environment = null, name } = request.body;
      const stored = { ...request.body, name: qualify(environment, name) };
      telemetry.registered(stored, registered).catch((error: unknown) => {
        request.log.warn({ err: error }, 'the beginning of an agent was not recorded');
      });
      return { ...registered, now: parts.clock.now() };
    },
  );
  app.post(
    '/agent/:sessionId/heartbeat',
    {
      ...{ config, bodyLimit },
      schema: {
        tags,
        params: BySession,
        body: bodies.HeartbeatBody,
        response: reply<HeartbeatReply>(),
      },
    },
    async (request) => {
      const { sessionId } = request.params;
      const answer = await agents.heartbeat(sessionId, request.body);
      if (answer.sessionValid) {
        telemetry.heartbeat(sessionId, request.body).catch((error: unknown) => {
          request.log.warn({ err: error }, 'a heartbeat was not recorded');
        });
      }
      return { ...answer, now: parts.clock.now() };
    },
  );
  app.post(
    '/agent/:sessionId/stop',
    { config, schema: { tags, params: BySession, response: { 204: Type.Null() } } },
    async (request, response) => {
      const { sessionId } = request.params;
      await agents.stop(sessionId);
      await telemetry.stopped(sessionId).catch((error: unknown) => {
        request.log.warn({ err: error }, 'the end of an agent was not recorded');
      });
      return response.code(204).send(null);
    },
  );
}

function diedRoute(app: App, parts: Parts): void {
  const { agents } = parts.orchestrator;
  app.post(
    '/agent/:sessionId/died',
    {
      config,
      schema: { tags, params: BySession, body: bodies.DiedBody, response: { 204: Type.Null() } },
    },
    async (request, response) => {
      await agents.died(request.params.sessionId, request.body);
      return response.code(204).send(null);
    },
  );
}

function workRoutes(app: App, parts: Parts, telemetry: AgentTelemetry): void {
  const { agents } = parts.orchestrator;
  app.post(
    '/agent/:sessionId/claim',
    {
      config,
      schema: { tags, params: BySession, body: bodies.ClaimBody, response: reply<ClaimReply>() },
    },
    async (request, response) => {
      const signal = closeSignal(response, parts.closing);
      const answer = await agents.claim(request.params.sessionId, request.body, signal);
      telemetry.assigned(answer.assignments);
      return answer;
    },
  );
  app.post(
    '/agent/:sessionId/complete',
    {
      ...{ config, bodyLimit },
      schema: {
        tags,
        params: BySession,
        body: bodies.CompleteBody,
        response: reply<CompleteReply>(),
      },
    },
    async (request) => {
      const answer = await agents.complete(request.params.sessionId, request.body);
      telemetry.assigned(answer.assignments);
      return inShort(request.body, answer);
    },
  );
  app.post(
    '/agent/:sessionId/steps',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: bodies.StepsBody, response: reply<StepsReply>() },
    },
    async (request) => ({
      outcomes: await agents.recordSteps(request.params.sessionId, request.body.steps),
    }),
  );
  app.post(
    '/agent/:sessionId/logs',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: bodies.LogsBody, response: { 204: Type.Null() } },
    },
    async (request, response) => {
      await telemetry.logs(request.params.sessionId, request.body.lines);
      return response.code(204).send(null);
    },
  );
  app.post(
    '/agent/:sessionId/once',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: bodies.OnceBody, response: reply<OnceReply>() },
    },
    (request) => agents.once(request.params.sessionId, request.body),
  );
  app.post(
    '/agent/:sessionId/runs',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: bodies.SubflowBody, response: reply<Run>() },
    },
    (request) => agents.startSubflow(request.params.sessionId, request.body),
  );
}

/** Waits of flows, and looks of sensors. */
function waitRoutes(app: App, parts: Parts): void {
  const { agents } = parts.orchestrator;
  app.post(
    '/agent/:sessionId/looks',
    {
      config,
      schema: { tags, params: BySession, body: bodies.LooksBody, response: reply<LooksReply>() },
    },
    (request, response) => {
      const signal = closeSignal(response, parts.closing);
      return agents.claimLooks(request.params.sessionId, request.body, signal);
    },
  );
  app.post(
    '/agent/:sessionId/looks/complete',
    {
      ...{ config, bodyLimit },
      schema: {
        tags,
        params: BySession,
        body: bodies.LookEndBody,
        response: reply<LookEndReply>(),
      },
    },
    (request) => agents.endLook(request.params.sessionId, request.body),
  );
  app.post(
    '/agent/:sessionId/waits',
    {
      config,
      schema: { tags, params: BySession, body: bodies.WaitBody, response: reply<WaitReply>() },
    },
    (request, response) =>
      agents.wait(request.params.sessionId, request.body, closeSignal(response, parts.closing)),
  );
  app.post(
    '/agent/:sessionId/suspend',
    {
      config,
      schema: {
        tags,
        params: BySession,
        body: bodies.SuspendBody,
        response: reply<SuspendReply>(),
      },
    },
    (request) => agents.suspend(request.params.sessionId, request.body),
  );
  app.post(
    '/agent/:sessionId/events',
    {
      ...{ config, bodyLimit },
      schema: { tags, params: BySession, body: bodies.EmitBody, response: reply<EventReceipt>() },
    },
    (request) => agents.emit(request.params.sessionId, request.body),
  );
}

function readRoutes(app: App, parts: Parts): void {
  const { agents } = parts.orchestrator;
  app.get(
    '/agent/:sessionId/results/:runId/:taskKey',
    { config, schema: { tags, params: ByTask, response: reply<ResultReply>() } },
    ({ params }) => agents.result(params.sessionId, params.runId, params.taskKey),
  );
  app.get(
    '/agent/:sessionId/steps/:runId',
    { config, schema: { tags, params: ByRun, response: reply<RecordedSteps>() } },
    async ({ params }) => ({ steps: await agents.steps(params.sessionId, params.runId) }),
  );
  app.get(
    '/agent/:sessionId/runs/:runId',
    {
      config,
      schema: {
        tags,
        params: ByRun,
        querystring: bodies.WaitQuery,
        response: reply<RunWaitReply>(),
      },
    },
    ({ params, query }, response) =>
      agents.waitRun(
        params.sessionId,
        params.runId,
        query.waitMs,
        closeSignal(response, parts.closing),
      ),
  );
  app.get(
    '/agent/:sessionId/assets/:key',
    { config, schema: { tags, params: ByAsset, response: reply<AssetValueReply>() } },
    async ({ params }) => ({ value: await agents.assetValue(params.sessionId, params.key) }),
  );
  app.get(
    '/agent/:sessionId/assets/:key/history',
    { config, schema: { tags, params: ByAsset, response: reply<AssetHistoryReply>() } },
    async ({ params }) => ({ versions: await agents.assetHistory(params.sessionId, params.key) }),
  );
  app.get(
    '/agent/:sessionId/assets/:key/for/:runId/:taskKey',
    {
      config,
      schema: {
        ...{ tags, params: ByInput, response: reply<AssetInputReply>() },
        querystring: Type.Object({ partition: Type.Optional(Type.String({ maxLength: 600 })) }),
      },
    },
    ({ params: { sessionId, key, runId, taskKey }, query: { partition } }) =>
      agents.assetInput(sessionId, { runId, taskKey, assetKey: key, partition }),
  );
  app.post(
    '/agent/:sessionId/partitions',
    {
      config,
      schema: {
        ...{ tags, params: BySession, body: bodies.DynamicPartitionsBody },
        response: { 204: Type.Null() },
      },
    },
    async ({ params, body }, response) => {
      await agents.changePartitions(params.sessionId, body);
      return response.code(204).send(null);
    },
  );
}
