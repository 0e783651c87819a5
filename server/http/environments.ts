/**
 * Environments at the edge of the API. Who names one (`?environment=pr-123`) speaks of what is in it by plain names:
 * they are qualified here, before any route sees them, and what is answered is told by plain names again, with the
 * environment beside them. Who names none means production, in lists too; `*` lists all. So routes need not know of
 * environments, and no answer holds a name as it is stored.
 */
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { Type } from 'typebox';
import {
  ALL_ENVIRONMENTS,
  ENVIRONMENT_PATTERN,
  isReservedName,
  PRODUCTION,
  qualify,
} from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { EnvironmentService } from '../../orchestrator/environments/contract.ts';
import { plainAnswer } from './plain-answer.ts';

const API = '/api/v1/';
/** Resources that are of no environment, or of all; and those that see to it themselves. */
const APART: ReadonlySet<string> = new Set([
  ...['environments', 'agent', 'tokens', 'audit', 'auth', 'query', 'retention', 'detectors'],
  ...['runbooks', 'kill-switch', 'lineage'],
]);
/** A parameter that names something of an environment. */
const NAMED = /\/(?:workflows|assets|sensors|queues|pools|events|partitions)\/:(\w+)/g;
/** Fields of queries and bodies that do. */
const NAMING = ['workflow', 'asset', 'assets', 'queue', 'sensor'] as const;

const EnvironmentQuery = Type.Optional(
  Type.String({
    pattern: `${ENVIRONMENT_PATTERN}|^\\*$`,
    description: 'What is of this environment; production unless told. In lists `*` is for all',
  }),
);

interface Aware {
  readonly parameters: readonly string[];
  /** `key` of artifacts. */
  readonly query: readonly string[];
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How the route deals with environments; undefined for one that has nothing to do with them. */
    environments?: Aware;
  }
}

/** For all routes that are registered after it. */
export function addEnvironments(app: FastifyInstance, environments: EnvironmentService): void {
  app.addHook('onRoute', (route) => {
    const aware = awareOf(route);
    if (aware === null) return;
    route.config = { ...route.config, environments: aware };
    route.schema = { ...route.schema, querystring: withEnvironment(route.schema?.querystring) };
  });
  app.addHook('preHandler', async (request) => {
    const { environments: aware } = request.routeOptions.config;
    if (aware === undefined) return;
    const environment = environmentFrom(request, aware);
    if (environment !== null && environment !== ALL_ENVIRONMENTS) {
      await environments.require(environment, request.method !== 'GET');
    }
    qualifyRequest(request, aware, environment === ALL_ENVIRONMENTS ? null : environment);
  });
  app.addHook('onSend', async (request, _reply, payload) => {
    if (typeof payload !== 'string' || request.routeOptions.config.environments === undefined) {
      return payload;
    }
    const environment = namedIn(request);
    return plainAnswer(payload, environment === ALL_ENVIRONMENTS ? null : environment);
  });
}

function awareOf({ url, config }: RouteOptions): Aware | null {
  if (!url.startsWith(API)) return null;
  const [resource = ''] = url.slice(API.length).split('/');
  const need = config?.role;
  if (APART.has(resource) || need === 'agent' || need === 'open') return null;
  return {
    parameters: [...url.matchAll(NAMED)].map(([, parameter = '']) => parameter),
    query: [...NAMING, ...(resource === 'artifacts' ? ['key'] : [])],
  };
}

function withEnvironment(schema: unknown): unknown {
  const { properties = {}, ...rest } = (schema ?? { type: 'object' }) as {
    readonly properties?: Readonly<Record<string, unknown>>;
  };
  return { ...rest, properties: { ...properties, environment: EnvironmentQuery } };
}

function namedIn(request: FastifyRequest): string | null {
  const environment = environmentIn(request);
  return environment === undefined || environment === PRODUCTION ? null : environment;
}

/** Environment that the request names, as lists take it; undefined where it names none. */
export function environmentIn({ query }: FastifyRequest): string | undefined {
  const { environment } = (query ?? {}) as { readonly environment?: unknown };
  return typeof environment === 'string' ? environment : undefined;
}

/** Null for production. */
function environmentFrom(request: FastifyRequest, aware: Aware): string | null {
  const environment = namedIn(request);
  const isList = request.method === 'GET' && aware.parameters.length === 0;
  if (environment === ALL_ENVIRONMENTS && !isList) {
    throw new SignalboxError('invalid-request', '* is for lists: name one environment', [
      { path: '/environment', message: 'must name one environment' },
    ]);
  }
  return environment;
}

function qualifyRequest(request: FastifyRequest, aware: Aware, environment: string | null): void {
  const places: readonly (readonly [unknown, readonly string[]])[] = [
    [request.params, aware.parameters],
    [request.query, aware.query],
    [request.body, NAMING],
  ];
  for (const [holder, fields] of places) {
    if (typeof holder !== 'object' || holder === null) continue;
    const values = holder as Record<string, unknown>;
    for (const field of fields) {
      const value = values[field];
      if (typeof value === 'string') values[field] = stored(environment, value);
      else if (Array.isArray(value)) {
        values[field] = value.map((one) =>
          typeof one === 'string' ? stored(environment, one) : one,
        );
      }
    }
  }
}

function stored(environment: string | null, name: string): string {
  if (isReservedName(name)) {
    throw new SignalboxError(
      'invalid-request',
      `${JSON.stringify(name.slice(0, 100))} begins with ~: give the plain name, and the environment with ?environment=`,
    );
  }
  return qualify(environment, name);
}
