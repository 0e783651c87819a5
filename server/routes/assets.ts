/** Assets: catalog, freshness policies, lineage, materializing. */
import { Type } from 'typebox';
import type { Asset, Materialization } from '../../domain/asset.ts';
import type { MaterializePlan } from '../../domain/partition.ts';
import type { LineageGraph } from '../../orchestrator/service.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { MaterializeBody, PolicyBody } from '../schemas/assets.ts';
import { Materialized, PartitionKey } from '../schemas/partitions.ts';
import { Closed, Key, Named, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['assets'];
const ByKey = Closed({ key: Key });
const MAX_DEPTH = 50;
const DEFAULT_DEPTH = 2;

export function assetRoutes(app: App, { orchestrator }: Parts): void {
  const { assets } = orchestrator;
  app.get(
    '/assets',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All assets' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<Asset>('Asset') },
      },
    },
    (request) => assets.list(request.query),
  );
  app.get(
    '/assets/:key',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One asset; the key is URL-encoded', params: ByKey },
        response: { 200: Named<Asset>('Asset') },
      },
    },
    (request) => assets.get(request.params.key),
  );
  app.get(
    '/assets/:key/materializations',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Recorded versions of an asset', params: ByKey },
        querystring: Closed({ ...pageFields, partition: Type.Optional(PartitionKey) }),
        response: { 200: PageOf<Materialization>('Materialization') },
      },
    },
    (request) => assets.materializations(request.params.key, request.query),
  );
  app.get(
    '/assets/:key/lineage',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What lies up and down, so many levels', params: ByKey },
        querystring: Closed({
          depth: Type.Integer({ minimum: 0, maximum: MAX_DEPTH, default: DEFAULT_DEPTH }),
        }),
        response: { 200: Named<LineageGraph>('LineageGraph') },
      },
    },
    (request) => assets.lineage(request.params.key, request.query.depth),
  );
  changeRoutes(app, assets);
}

function changeRoutes(app: App, assets: Parts['orchestrator']['assets']): void {
  app.put(
    '/assets/:key/policy',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Set the freshness policy, also before the asset was ever seen' },
        ...{ params: ByKey, body: PolicyBody },
        response: { 200: Named<Asset>('Asset') },
      },
    },
    (request) =>
      assets.setPolicy(request.params.key, request.body, { name: callerOf(request).actor }),
  );
  app.post(
    '/assets/:key/materialize',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Compute the asset anew, or some of its partitions' },
        ...{ params: ByKey, body: MaterializeBody },
        response: { 200: Named<MaterializePlan>('MaterializePlan'), 201: Materialized },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const { partitions, dryRun = false, ...options } = request.body;
      const { key } = request.params;
      if (dryRun) {
        const { idempotencyKey: _, ...asked } = options;
        return assets.plan(key, { ...asked, ...(partitions ? { partitions } : {}) });
      }
      const made = partitions
        ? await assets.materializePartitions(key, { ...options, partitions }, actor)
        : await assets.materialize([key], options, actor);
      return reply.code(201).send(made);
    },
  );
}
