/** Runbooks, their executions, and the kill switch. */
import { Type } from 'typebox';
import type { Execution, Plan } from '../../domain/runbook.ts';
import type { RunbookSummary } from '../../incidents/service.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import { pageOfWhole } from '../http/whole-list.ts';
import type { Parts } from '../parts.ts';
import { ReasonBody, ResponseBody, RunbookBody } from '../schemas/incidents.ts';
import { Closed, Name, Named, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['runbooks'];
const ById = Closed({ id: Name });
const KillSwitch = Closed({
  on: Type.Boolean({ description: 'true: nothing acts by itself' }),
});

export function runbookRoutes(app: App, { incidents }: Parts): void {
  app.get(
    '/runbooks',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All runbooks', querystring: Closed(pageFields) },
        response: { 200: PageOf<RunbookSummary>('Runbook') },
      },
    },
    async ({ query }) => pageOfWhole(await incidents.runbooks(), query, ({ id }) => id),
  );
  app.put(
    '/runbooks/:id',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'How far it may go by itself', params: ById, body: RunbookBody },
        response: { 200: Named<RunbookSummary>('Runbook') },
      },
    },
    (request) =>
      incidents.setRunbookMode(request.params.id, request.body.mode, callerOf(request).actor),
  );
  app.post(
    '/runbooks/:id/plan',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'What it would do; changes nothing', params: ById },
        body: ResponseBody,
        response: { 200: Named<Plan>('Plan') },
      },
    },
    (request) => incidents.plan(request.params.id, request.body),
  );
  app.post(
    '/runbooks/:id/executions',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Execute it for an incident', params: ById, body: ResponseBody },
        response: { 201: Named<Execution>('Execution') },
      },
    },
    async (request, reply) => {
      const { actor } = callerOf(request);
      const execution = await incidents.execute(request.params.id, request.body, actor);
      return reply.code(201).send(execution);
    },
  );
  executionRoutes(app, incidents);
  killSwitchRoutes(app, incidents);
}

function executionRoutes(app: App, incidents: Parts['incidents']): void {
  const response = { 200: Named<Execution>('Execution') };
  app.get(
    '/executions/:id',
    {
      config: { role: 'viewer' },
      schema: { tags, summary: 'One execution', params: ById, response },
    },
    (request) => incidents.execution(request.params.id),
  );
  app.post(
    '/executions/:id/approve',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Let it act; never by who asked for it', params: ById },
        ...{ body: Closed({}), response },
      },
    },
    (request) => incidents.approve(request.params.id, callerOf(request).actor),
  );
  app.post(
    '/executions/:id/reject',
    {
      config: { role: 'operator' },
      schema: { tags, summary: 'Do not let it act', params: ById, body: ReasonBody, response },
    },
    (request) => incidents.reject(request.params.id, callerOf(request).actor, request.body.reason),
  );
}

function killSwitchRoutes(app: App, incidents: Parts['incidents']): void {
  app.get(
    '/kill-switch',
    {
      config: { role: 'viewer' },
      schema: {
        tags,
        summary: 'Whether all automatic action is off',
        response: { 200: KillSwitch },
      },
    },
    async () => ({ on: await incidents.killSwitch() }),
  );
  app.put(
    '/kill-switch',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Turn all automatic action off, or on again', body: KillSwitch },
        response: { 200: KillSwitch },
      },
    },
    async (request) => {
      await incidents.setKillSwitch(request.body.on, callerOf(request).actor);
      return { on: await incidents.killSwitch() };
    },
  );
}
