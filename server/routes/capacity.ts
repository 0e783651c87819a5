/** Pools, queues and agents: what work runs on. */
import type { FastifyRequest } from 'fastify';
import type { Agent } from '../../domain/agent.ts';
import { isListed } from '../../domain/environment.ts';
import type { Pool } from '../../domain/pool.ts';
import type { QueueSummary } from '../../orchestrator/service.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import { environmentIn } from '../http/environments.ts';
import { pageOfWhole } from '../http/whole-list.ts';
import type { Parts } from '../parts.ts';
import { getPool, listPools, poolId } from '../pools-seen.ts';
import { PoolBody, QueueBody } from '../schemas/assets.ts';
import { Closed, Name, Named, PageOf, pageFields } from '../schemas/parts.ts';

const ByName = Closed({ name: Name });

/** Those of the environment that the query names; production's unless it does. */
function listed<T extends { readonly name: string }>(
  all: readonly T[],
  request: FastifyRequest,
): readonly T[] {
  const environment = environmentIn(request);
  return all.filter(({ name }) => isListed(environment, name));
}

export function capacityRoutes(app: App, parts: Parts): void {
  poolRoutes(app, parts);
  const { queues, agents } = parts.orchestrator;
  app.get(
    '/queues',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags: ['queues'], summary: 'All queues' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<QueueSummary>('Queue') },
      },
    },
    async (request) =>
      pageOfWhole(listed(await queues.list(), request), request.query, ({ name }) => name),
  );
  app.put(
    '/queues/:name',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags: ['queues'], summary: 'Pause a queue, or limit it', params: ByName },
        body: QueueBody,
        response: { 200: Named<QueueSummary>('Queue') },
      },
    },
    (request) => queues.set(request.params.name, request.body, { name: callerOf(request).actor }),
  );
  app.get(
    '/agents',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags: ['agents'], summary: 'Agents, by the age of their last heartbeat' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<Agent>('Agent') },
      },
    },
    async (request) =>
      pageOfWhole(listed(await agents.list(), request), request.query, ({ id }) => id),
  );
}

function poolRoutes(app: App, parts: Parts): void {
  const tags = ['pools'];
  app.get(
    '/pools',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All pools: task slots, and connections as telemetry sees them' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<Pool>('Pool') },
      },
    },
    async (request) => pageOfWhole(listed(await listPools(parts), request), request.query, poolId),
  );
  app.get(
    '/pools/:name',
    {
      config: { role: 'viewer' },
      schema: { tags, summary: 'One pool', params: ByName, response: { 200: Named<Pool>('Pool') } },
    },
    (request) => getPool(parts, request.params.name),
  );
  app.put(
    '/pools/:name',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Create a pool of task slots, or set a ceiling', params: ByName },
        body: PoolBody,
        response: { 200: Named<Pool>('Pool') },
      },
    },
    async (request) => {
      const { name } = request.params;
      await parts.orchestrator.pools.set(name, request.body, { name: callerOf(request).actor });
      return getPool(parts, name);
    },
  );
}
