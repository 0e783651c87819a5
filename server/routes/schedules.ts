/** What schedules call for next, and what became of what they called for. */
import { Type } from 'typebox';
import {
  EXPECTED_OUTCOMES,
  type ExpectedRun,
  type SchedulePreview,
} from '../../domain/schedule.ts';
import { parseDuration } from '../../domain/time.ts';
import type { App } from '../http/app-type.ts';
import { environmentIn } from '../http/environments.ts';
import type { Parts } from '../parts.ts';
import { Closed, Duration, Name, Named, OneOf, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['schedules'];
const ByName = Closed({ name: Name });
const MAX_UPCOMING = 1_000;
const DEFAULT_UPCOMING = 5;
const outcome = Type.Optional(OneOf(EXPECTED_OUTCOMES));

const OverdueRuns = Type.Unsafe<{
  items: readonly { workflow: string; logicalDate: string; dueAt: string }[];
}>({
  type: 'object',
  required: ['items'],
  properties: { items: { type: 'array', items: { $ref: 'OverdueRun#' } } },
});

export function scheduleRoutes(app: App, { orchestrator }: Parts): void {
  const { schedules, workflows } = orchestrator;
  app.get(
    '/workflows/:name/schedule',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'The schedule of a workflow, and its next runs', params: ByName },
        querystring: Closed({
          count: Type.Integer({ minimum: 1, maximum: MAX_UPCOMING, default: DEFAULT_UPCOMING }),
        }),
        response: { 200: Named<SchedulePreview>('SchedulePreview') },
      },
    },
    (request) => schedules.preview(request.params.name, request.query.count),
  );
  app.get(
    '/workflows/:name/expected-runs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What became of the runs that a schedule called for', params: ByName },
        querystring: Closed({ ...pageFields, outcome }),
        response: { 200: PageOf<ExpectedRun>('ExpectedRun') },
      },
    },
    async (request) => {
      const { name } = await workflows.get(request.params.name);
      return schedules.expectedRuns({ ...request.query, workflow: name });
    },
  );
  app.get(
    '/expected-runs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What became of the runs that all schedules called for' },
        querystring: Closed({ ...pageFields, outcome, workflow: Type.Optional(Name) }),
        response: { 200: PageOf<ExpectedRun>('ExpectedRun') },
      },
    },
    (request) => schedules.expectedRuns(request.query),
  );
  app.get(
    '/overdue-runs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{
          tags,
          summary: 'Runs that were due and of which nothing has become: no scheduler looks',
        },
        querystring: Closed({ grace: Type.Optional(Duration) }),
        response: { 200: OverdueRuns },
      },
    },
    async (request) => ({
      items: await schedules.overdue(
        parseDuration(request.query.grace ?? '1m'),
        environmentIn(request),
      ),
    }),
  );
}
