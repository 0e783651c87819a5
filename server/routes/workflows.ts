/** Workflows, and starting runs of them. */
import { Type } from 'typebox';
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import type { Run } from '../../domain/run.ts';
import type {
  TriggerRequest,
  WorkflowDetail,
  WorkflowSummary,
} from '../../orchestrator/service.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import { environmentIn } from '../http/environments.ts';
import type { Parts } from '../parts.ts';
import { Closed, Name, Named, Nullable, PageOf, pageFields, Time } from '../schemas/parts.ts';
import { TriggerBatchBody, TriggerBody } from '../schemas/runs.ts';
import { currentTraceparent } from '../telemetry/trace-context.ts';

const tags = ['workflows'];
const ByName = Closed({ name: Name });
const MAX_BATCH_BYTES = 32 * 1024 * 1024;

const FileErrors = Type.Unsafe<{ items: readonly WorkflowFileError[] }>(
  Type.Object({
    items: Type.Array(
      Type.Object({
        file: Type.String(),
        message: Type.String(),
        agent: Type.Optional(Nullable(Type.String())),
        at: Type.Optional(Time),
      }),
    ),
  }),
);

const BatchReply = Type.Unsafe<{ items: readonly Run[]; created: number }>({
  type: 'object',
  required: ['items', 'created'],
  properties: { items: { type: 'array', items: { $ref: 'Run#' } }, created: { type: 'integer' } },
});

export function workflowRoutes(app: App, { orchestrator }: Parts): void {
  const { workflows } = orchestrator;
  app.get(
    '/workflows',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All workflows' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<WorkflowSummary>('Workflow') },
      },
    },
    (request) => workflows.list(request.query),
  );
  app.get(
    '/workflow-errors',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Workflow files that could not be read' },
        response: { 200: FileErrors },
      },
    },
    async (request) => ({ items: await workflows.fileErrors(environmentIn(request)) }),
  );
  app.get(
    '/workflows/:name',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One workflow', params: ByName },
        response: { 200: Named<WorkflowDetail>('WorkflowDetail') },
      },
    },
    (request) => workflows.get(request.params.name),
  );
  for (const [verb, paused] of [
    ['pause', true],
    ['unpause', false],
  ] as const) {
    app.post(
      `/workflows/:name/${verb}`,
      {
        config: { role: 'operator' },
        schema: {
          tags,
          summary: paused ? 'Stop starting runs by schedule' : 'Start runs by schedule again',
          params: ByName,
          body: Closed({}),
          response: { 200: Named<WorkflowDetail>('WorkflowDetail') },
        },
      },
      (request) =>
        workflows.setPaused(request.params.name, paused, { name: callerOf(request).actor }),
    );
  }
  triggerRoutes(app, orchestrator.runs);
}

function triggerRoutes(app: App, runs: Parts['orchestrator']['runs']): void {
  app.post(
    '/workflows/:name/runs',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Start a run', params: ByName, body: TriggerBody },
        response: { 200: Named<Run>('Run'), 201: Named<Run>('Run') },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const wanted = withTrace(request.body, currentTraceparent());
      const { run, created } = await runs.trigger(request.params.name, wanted, actor);
      return reply.code(created ? 201 : 200).send(run);
    },
  );
  app.post(
    '/workflows/:name/runs/batch',
    {
      config: { role: 'operator' },
      bodyLimit: MAX_BATCH_BYTES,
      schema: {
        ...{ tags, summary: 'Start up to 10,000 runs, all or none', params: ByName },
        body: TriggerBatchBody,
        response: { 200: BatchReply, 201: BatchReply },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const traceparent = currentTraceparent();
      const wanted = request.body.runs.map((one) => withTrace(one, traceparent));
      const replies = await runs.triggerBatch(request.params.name, wanted, actor);
      const created = replies.filter((one) => one.created).length;
      const answer = { items: replies.map(({ run }) => run), created };
      return reply.code(created > 0 ? 201 : 200).send(answer);
    },
  );
}

function withTrace(wanted: TriggerRequest, traceparent: string | undefined): TriggerRequest {
  return traceparent === undefined ? wanted : { ...wanted, traceparent };
}
