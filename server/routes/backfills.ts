/** Backfills: runs of a workflow for the intervals of a range. */
import { Type } from 'typebox';
import {
  BACKFILL_STATES,
  type Backfill,
  type BackfillItem,
  type BackfillPlan,
} from '../../domain/backfill.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { BackfillBody } from '../schemas/backfills.ts';
import { Closed, Name, Named, OneOf, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['backfills'];
const ById = Closed({ id: Type.String({ minLength: 1, maxLength: 100 }) });

const CHANGES = [
  ['cancel', 'Cancel what runs of a backfill and what is to come'],
  ['pause', 'Start nothing more of a backfill; what runs goes on'],
  ['resume', 'Go on with a backfill, also with what failed or was cancelled'],
] as const;

export function backfillRoutes(app: App, { orchestrator }: Parts): void {
  const { backfills } = orchestrator;
  app.post(
    '/workflows/:name/backfills',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Start a backfill, or with `dryRun` tell what it would do' },
        ...{ params: Closed({ name: Name }), body: BackfillBody },
        response: {
          200: Type.Unsafe<Backfill | BackfillPlan>({
            anyOf: [{ $ref: 'BackfillPlan#' }, { $ref: 'Backfill#' }],
          }),
          201: Named<Backfill>('Backfill'),
        },
      },
    },
    async (request, reply) => {
      const { dryRun = false, ...wanted } = request.body;
      const { name } = request.params;
      if (dryRun) return reply.code(200).send(await backfills.plan(name, wanted));
      const actor = { name: callerOf(request).actor };
      const { backfill, created } = await backfills.start(name, wanted, actor);
      return created ? reply.code(201).send(backfill) : reply.code(200).send(backfill);
    },
  );
  app.get(
    '/backfills',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Backfills, newest first' },
        querystring: Closed({
          ...pageFields,
          workflow: Type.Optional(Name),
          state: Type.Optional(OneOf(BACKFILL_STATES)),
        }),
        response: { 200: PageOf<Backfill>('Backfill') },
      },
    },
    (request) => backfills.list(request.query),
  );
  app.get(
    '/backfills/:id',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One backfill', params: ById },
        response: { 200: Named<Backfill>('Backfill') },
      },
    },
    (request) => backfills.get(request.params.id),
  );
  app.get(
    '/backfills/:id/items',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'The pieces of a backfill, in the order in which they are started' },
        ...{ params: ById, querystring: Closed(pageFields) },
        response: { 200: PageOf<BackfillItem>('BackfillItem') },
      },
    },
    (request) => backfills.items(request.params.id, request.query),
  );
  changeRoutes(app, backfills);
}

function changeRoutes(app: App, backfills: Parts['orchestrator']['backfills']): void {
  for (const [verb, summary] of CHANGES) {
    app.post(
      `/backfills/:id/${verb}`,
      {
        config: { role: 'operator' },
        schema: {
          ...{ tags, summary, params: ById, body: Closed({}) },
          response: { 200: Named<Backfill>('Backfill') },
        },
      },
      (request) => backfills[verb](request.params.id, { name: callerOf(request).actor }),
    );
  }
}
