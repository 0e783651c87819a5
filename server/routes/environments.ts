/** Environments of branches: made, looked at, compared with production, deleted. */
import { type Environment, type EnvironmentDiff, PRODUCTION } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type Caller, callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { EnvironmentBody, EnvironmentName } from '../schemas/environments.ts';
import { Closed, Named, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['environments'];
const ByName = Closed({ name: EnvironmentName });

export function environmentRoutes(app: App, { orchestrator }: Parts): void {
  const { environments } = orchestrator;
  app.get(
    '/environments',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Environments of branches, by name' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<Environment>('Environment') },
      },
    },
    (request) => environments.list(request.query),
  );
  app.post(
    '/environments',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Make an environment, or change what is given of one that is there' },
        body: EnvironmentBody,
        response: {
          200: Named<Environment>('Environment'),
          201: Named<Environment>('Environment'),
        },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const { environment, created } = await environments.save(request.body, actor);
      return reply.code(created ? 201 : 200).send(environment);
    },
  );
  app.get(
    '/environments/:name',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One environment', params: ByName },
        response: { 200: Named<Environment>('Environment') },
      },
    },
    (request) => environments.get(request.params.name),
  );
  app.get(
    '/environments/:name/diff',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'What a branch defines beside production', params: ByName },
        response: { 200: Named<EnvironmentDiff>('EnvironmentDiff') },
      },
    },
    (request) => environments.diff(request.params.name),
  );
  deletionRoute(app, environments);
}

function deletionRoute(app: App, environments: Parts['orchestrator']['environments']): void {
  app.delete(
    '/environments/:name',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Cancel what runs in an environment, and delete all of it' },
        ...{ params: ByName, response: { 202: Named<Environment>('Environment') } },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (name === PRODUCTION) {
        throw new SignalboxError('invalid-request', 'production cannot be deleted');
      }
      const caller = callerOf(request);
      refuseOthers(caller, await environments.get(name));
      return reply.code(202).send(await environments.delete(name, { name: caller.actor }));
    },
  );
}

/** Who made an environment may delete it, and whoever is admin. */
function refuseOthers({ actor, role }: Caller, { name, createdBy }: Environment): void {
  if (role === 'admin' || actor === createdBy) return;
  throw new SignalboxError(
    'forbidden',
    `${name} was made by ${createdBy}: only that token, or one of role admin, may delete it`,
  );
}
