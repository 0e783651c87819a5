/** Partitions of assets: their states, lists of keys that grow; and what suffers where one is late. */
import { Type } from 'typebox';
import type { AssetImpact, AssetPartition, PartitionCounts } from '../../domain/partition.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { DynamicBody, PartitionKey, PartitionsQuery } from '../schemas/partitions.ts';
import { Closed, Key, Name, Named, PageOf } from '../schemas/parts.ts';

const tags = ['assets'];
const ByKey = Closed({ key: Key });
const ByName = Closed({ name: Name });

interface DynamicPartitions {
  readonly name: string;
  readonly keys: readonly string[];
}

export function partitionRoutes(app: App, { orchestrator: { assets } }: Parts): void {
  app.get(
    '/assets/:key/partitions',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Partitions of an asset with their states', params: ByKey },
        querystring: PartitionsQuery,
        response: { 200: PageOf<AssetPartition>('AssetPartition') },
      },
    },
    (request) => assets.partitions(request.params.key, request.query),
  );
  app.get(
    '/assets/:key/partitions/counts',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'How many partitions are in which state', params: ByKey },
        response: { 200: Named<PartitionCounts>('PartitionCounts') },
      },
    },
    (request) => assets.partitionCounts(request.params.key),
  );
  app.get(
    '/assets/:key/impact',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What lies below and suffers', params: ByKey },
        querystring: Closed({ partition: Type.Optional(PartitionKey) }),
        response: { 200: Named<AssetImpact>('AssetImpact') },
      },
    },
    (request) => assets.impact(request.params.key, request.query.partition ?? null),
  );
  dynamicRoutes(app, assets);
}

function dynamicRoutes(app: App, assets: Parts['orchestrator']['assets']): void {
  app.get(
    '/partitions/:name',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Keys of a list of dynamic partitions', params: ByName },
        response: { 200: Named<DynamicPartitions>('DynamicPartitions') },
      },
    },
    async ({ params: { name } }) => ({ name, keys: await assets.dynamicPartitions(name) }),
  );
  app.post(
    '/partitions/:name',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Add keys to a list of dynamic partitions, or remove some' },
        ...{ params: ByName, body: DynamicBody },
        response: { 200: Named<DynamicPartitions>('DynamicPartitions') },
      },
    },
    async (request) => {
      const { name } = request.params;
      const actor = { name: callerOf(request).actor };
      return { name, keys: await assets.changeDynamicPartitions(name, request.body, actor) };
    },
  );
}
