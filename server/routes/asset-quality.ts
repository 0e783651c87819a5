/** Assets: checks, facts and observations over time; reports of what was made or seen elsewhere. */
import { Type } from 'typebox';
import type {
  CheckResult,
  Materialization,
  MetadataPoint,
  Observation,
} from '../../domain/asset.ts';
import type { Run } from '../../domain/run.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { MaterializationBody, ObservationBody, RunChecksBody } from '../schemas/asset-quality.ts';
import { Closed, Key, Name, Named, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['assets'];
const ByKey = Closed({ key: Key });
const MAX_POINTS = 1_000;
const DEFAULT_POINTS = 200;

const Points = Type.Unsafe<{ items: readonly MetadataPoint[]; nextCursor: null }>({
  type: 'object',
  required: ['items', 'nextCursor'],
  properties: {
    items: { type: 'array', items: { $ref: 'MetadataPoint#' } },
    nextCursor: { type: 'null' },
  },
});

export function assetQualityRoutes(app: App, { orchestrator: { quality } }: Parts): void {
  app.get(
    '/assets/:key/checks',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What checks said, the last first', params: ByKey },
        querystring: Closed({ ...pageFields, check: Type.Optional(Name) }),
        response: { 200: PageOf<CheckResult>('CheckResult') },
      },
    },
    (request) => quality.checkResults(request.params.key, request.query),
  );
  app.get(
    '/assets/:key/metadata',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One recorded fact over time, the newest first', params: ByKey },
        querystring: Closed({
          name: Type.String({ minLength: 1, maxLength: 500 }),
          limit: Type.Integer({ minimum: 1, maximum: MAX_POINTS, default: DEFAULT_POINTS }),
        }),
        response: { 200: Points },
      },
    },
    async ({ params, query }) => ({
      items: await quality.metadataHistory(params.key, query.name, query.limit),
      nextCursor: null,
    }),
  );
  app.get(
    '/assets/:key/observations',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What was seen of data made elsewhere, the last first', params: ByKey },
        querystring: Closed(pageFields),
        response: { 200: PageOf<Observation>('Observation') },
      },
    },
    (request) => quality.observations(request.params.key, request.query),
  );
  changeRoutes(app, quality);
}

function changeRoutes(app: App, quality: Parts['orchestrator']['quality']): void {
  app.post(
    '/assets/:key/checks',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Run checks over the stored value', params: ByKey },
        body: RunChecksBody,
        response: { 201: Named<Run>('Run') },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      return reply.code(201).send(await quality.runChecks(request.params.key, request.body, actor));
    },
  );
  app.post(
    '/assets/:key/observations',
    {
      config: { role: 'ingest', audit: false },
      schema: {
        ...{ tags, summary: 'Report what was seen of data made elsewhere', params: ByKey },
        body: ObservationBody,
        response: {
          200: Named<Observation>('Observation'),
          201: Named<Observation>('Observation'),
        },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const made = await quality.reportObservation(request.params.key, request.body, actor);
      return reply.code(made.created ? 201 : 200).send(made.observation);
    },
  );
  app.post(
    '/assets/:key/materializations',
    {
      config: { role: 'ingest', audit: false },
      schema: {
        ...{ tags, summary: 'Report a version that was made elsewhere', params: ByKey },
        body: MaterializationBody,
        response: {
          200: Named<Materialization>('Materialization'),
          201: Named<Materialization>('Materialization'),
        },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const made = await quality.reportMaterialization(request.params.key, request.body, actor);
      return reply.code(made.created ? 201 : 200).send(made.materialization);
    },
  );
}
