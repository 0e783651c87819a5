/** Runs, their tasks and their logs. */
import { Type } from 'typebox';
import type { ShownLogLine } from '../../domain/agent-protocol.ts';
import { environmentOf, PRODUCTION } from '../../domain/environment.ts';
import { RUN_STATES, type Run, type Task } from '../../domain/run.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key, Name, Named, OneOf, PageOf, pageFields, Text } from '../schemas/parts.ts';

const tags = ['runs'];
const MAX_ATTEMPT = 32_767;
const ById = Closed({ id: Type.String({ minLength: 1, maxLength: 100 }) });

const Tasks = Type.Unsafe<{ items: readonly Task[]; nextCursor: null }>({
  type: 'object',
  required: ['items', 'nextCursor'],
  properties: {
    items: { type: 'array', items: { $ref: 'Task#' } },
    nextCursor: { type: 'null' },
  },
});

export function runRoutes(app: App, { orchestrator, collector }: Parts): void {
  const { runs } = orchestrator;
  app.get(
    '/runs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Runs, newest first' },
        querystring: Closed({
          ...pageFields,
          workflow: Type.Optional(Name),
          state: Type.Optional(OneOf(RUN_STATES)),
          engine: Type.Optional(Name),
        }),
        response: { 200: PageOf<Run>('Run') },
      },
    },
    async (request) => {
      const { items, nextCursor } = await runs.list(request.query);
      return { items: items.map(inItsEnvironment), nextCursor };
    },
  );
  app.get(
    '/runs/:id',
    {
      config: { role: 'viewer' },
      schema: { tags, summary: 'One run', params: ById, response: { 200: Named<Run>('Run') } },
    },
    async (request) => {
      const run = inItsEnvironment(await runs.get(request.params.id));
      if (run.environment === PRODUCTION) return run;
      const read = await orchestrator.environments.readsOf(run.id);
      return read.length === 0 ? run : { ...run, readFromProduction: read };
    },
  );
  app.get(
    '/runs/:id/tasks',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Tasks (or durable steps) of a run', params: ById },
        response: { 200: Tasks },
      },
    },
    async (request) => ({ items: await runs.tasks(request.params.id), nextCursor: null }),
  );
  logRoute(app, { orchestrator, collector });
}

/** Of a run it is always told where it is. */
function inItsEnvironment(run: Run): Run {
  return { ...run, environment: environmentOf(run.workflow) ?? PRODUCTION };
}

/** Clocks of agents and servers may differ by so much. */
const CLOCK_ALLOWANCE_MS = 3_600_000;

function logRoute(
  app: App,
  { orchestrator, collector }: Pick<Parts, 'orchestrator' | 'collector'>,
) {
  app.get(
    '/runs/:id/logs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What a run logged, oldest first unless told', params: ById },
        querystring: Closed({
          ...pageFields,
          task: Type.Optional(Key),
          taskKey: Type.Optional(Key),
          attempt: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_ATTEMPT })),
          level: Type.Optional(OneOf(['debug', 'info', 'warn', 'error'])),
          search: Type.Optional(Text),
          order: Type.Optional(OneOf(['oldest', 'newest'])),
        }),
        response: { 200: PageOf<ShownLogLine>('LogLine') },
      },
    },
    async (request) => {
      const { id, createdAt } = await orchestrator.runs.get(request.params.id);
      const { task, ...query } = request.query;
      const { items, nextCursor } = await collector.runLogs(id, {
        ...query,
        ...(task === undefined ? {} : { taskKey: task }),
        since: Math.max(0, Date.parse(createdAt) - CLOCK_ALLOWANCE_MS),
      });
      const shown = items.map((line) => ({ ...line, at: new Date(line.at).toISOString() }));
      return { items: shown, nextCursor };
    },
  );
}
