/** What flows wait for: events that programs send, and inputs that people give. */
import { Type } from 'typebox';
import type { EventReceipt, RunInput } from '../../domain/wait.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key, Named, PageOf, pageFields } from '../schemas/parts.ts';
import { EventName, InputBody, NamedEventBody, RunEventBody } from '../schemas/signals.ts';

const tags = ['signals'];
const Id = Type.String({ minLength: 1, maxLength: 100 });
const receipts = {
  200: Named<EventReceipt>('EventReceipt'),
  201: Named<EventReceipt>('EventReceipt'),
};

export function signalRoutes(app: App, { orchestrator }: Parts): void {
  const { signals } = orchestrator;
  app.post(
    '/events/:name',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Send an event to runs that wait for it, now or later' },
        ...{ params: Closed({ name: EventName }), body: NamedEventBody, response: receipts },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const receipt = await signals.send(null, { ...request.params, ...request.body }, actor);
      return reply.code(receipt.created ? 201 : 200).send(receipt);
    },
  );
  app.post(
    '/runs/:id/events',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Send an event to one run' },
        ...{ params: Closed({ id: Id }), body: RunEventBody, response: receipts },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const receipt = await signals.send(request.params.id, request.body, actor);
      return reply.code(receipt.created ? 201 : 200).send(receipt);
    },
  );
  app.get(
    '/inputs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What runs wait for people to give, oldest first' },
        ...{ querystring: Closed(pageFields), response: { 200: PageOf<RunInput>('RunInput') } },
      },
    },
    (request) => signals.openInputs(request.query),
  );
  app.get(
    '/runs/:id/inputs',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What a run asks people, oldest first', params: Closed({ id: Id }) },
        response: { 200: PageOf<RunInput>('RunInput') },
      },
    },
    async (request) => ({ items: await signals.inputs(request.params.id), nextCursor: null }),
  );
  app.post(
    '/runs/:id/inputs/:key',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Give a run what it asks for; the value must match its schema' },
        ...{ params: Closed({ id: Id, key: Key }), body: InputBody },
        response: { 200: Named<RunInput>('RunInput') },
      },
    },
    (request) => {
      const { id, key } = request.params;
      return signals.answer(id, key, request.body.value, { name: callerOf(request).actor });
    },
  );
}
