/** Deadlines that were missed or are to come, and callbacks of runs. */
import { Type } from 'typebox';
import type { CallbackRecord } from '../../domain/callback.ts';
import type { Deadline } from '../../domain/deadline.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key, Name, OneOf, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['deadlines'];
const ById = Closed({ id: Key });

export function deadlineRoutes(app: App, { orchestrator }: Parts): void {
  const { deadlines, callbacks } = orchestrator;
  app.get(
    '/deadlines',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Deadlines that were missed, or that are to come' },
        querystring: Closed({
          ...pageFields,
          workflow: Type.Optional(Name),
          missed: Type.Optional(OneOf(['true', 'open', 'false'])),
        }),
        response: { 200: PageOf<Deadline>('Deadline') },
      },
    },
    (request) => deadlines.list(request.query),
  );
  app.get(
    '/runs/:id/deadlines',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Deadlines of a run and its tasks', params: ById },
        response: { 200: PageOf<Deadline>('Deadline') },
      },
    },
    async (request) => ({
      items: await deadlines.ofRun(request.params.id),
      nextCursor: null,
    }),
  );
  app.get(
    '/runs/:id/callbacks',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Callbacks of a run and its tasks', params: ById },
        response: { 200: PageOf<CallbackRecord>('CallbackRecord') },
      },
    },
    async (request) => ({
      items: await callbacks.ofRun(request.params.id),
      nextCursor: null,
    }),
  );
}
