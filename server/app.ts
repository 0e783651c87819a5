/**
 * The HTTP application, built apart from listening: what holds for all routes first, then the routes by
 * resource.
 */
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import { addAudit } from './audit.ts';
import { addAuthentication } from './auth/authenticate.ts';
import { limitAgents } from './http/agent-environments.ts';
import type { App } from './http/app-type.ts';
import { addEnvironments } from './http/environments.ts';
import { addJsonBody } from './http/json-body.ts';
import { refuseOtherMethods } from './http/methods.ts';
import { addProblems, PROBLEM_OPTIONS } from './http/problems.ts';
import { addValidation } from './http/validation.ts';
import { addRequestMetrics } from './metrics.ts';
import type { Parts } from './parts.ts';
import { accessRoutes } from './routes/access.ts';
import { agentRoutes } from './routes/agent.ts';
import { agentResultRoutes } from './routes/agent-results.ts';
import { artifactRoutes } from './routes/artifacts.ts';
import { assetQualityRoutes } from './routes/asset-quality.ts';
import { assetRoutes } from './routes/assets.ts';
import { automationRoutes } from './routes/automation.ts';
import { backfillRoutes } from './routes/backfills.ts';
import { capacityRoutes } from './routes/capacity.ts';
import { consoleRoutes } from './routes/console.ts';
import { deadlineRoutes } from './routes/deadlines.ts';
import { detectorRoutes } from './routes/detectors.ts';
import { environmentRoutes } from './routes/environments.ts';
import { healthRoutes } from './routes/health.ts';
import { incidentRoutes } from './routes/incidents.ts';
import { partitionRoutes } from './routes/partitions.ts';
import { resultRoutes } from './routes/results.ts';
import { retentionRoutes } from './routes/retention.ts';
import { runControlRoutes } from './routes/run-control.ts';
import { runbookRoutes } from './routes/runbooks.ts';
import { runRoutes } from './routes/runs.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { sensorRoutes } from './routes/sensors.ts';
import { signalRoutes } from './routes/signals.ts';
import { telemetryRoutes } from './routes/telemetry.ts';
import { workflowRoutes } from './routes/workflows.ts';
import { addSchemas } from './schemas/register.ts';
import { addSpans } from './telemetry/trace-context.ts';
import { VERSION } from './version.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;
const MAX_PARAM_LENGTH = 4_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 72_000;

/** Builds the application; it answers `inject` and can listen. */
export async function buildApp(parts: Parts, log: FastifyBaseLogger): Promise<App> {
  const app: App = Fastify({
    ...PROBLEM_OPTIONS,
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  }).withTypeProvider<TypeBoxTypeProvider>();
  addProblems(app);
  addValidation(app);
  addJsonBody(app);
  addSpans(app);
  addRequestMetrics(app, parts.metrics);
  addAudit(app, parts.audit, parts.clock);
  addAuthentication(app, parts.credentials);
  addEnvironments(app, parts.orchestrator.environments);
  limitAgents(app, parts.orchestrator.environments);
  const refuseOthers = refuseOtherMethods(app);
  addSchemas(app);
  await app.register(swagger, openApi());
  await app.register(async (api: App) => apiRoutes(api, parts), { prefix: '/api/v1' });
  app.get('/api/openapi.json', { config: { role: 'any' }, schema: { hide: true } }, async () =>
    app.swagger(),
  );
  healthRoutes(app, parts);
  refuseOthers();
  await consoleRoutes(app);
  return app;
}

function apiRoutes(api: App, parts: Parts): void {
  accessRoutes(api, parts);
  workflowRoutes(api, parts);
  scheduleRoutes(api, parts);
  runRoutes(api, parts);
  runControlRoutes(api, parts);
  backfillRoutes(api, parts);
  signalRoutes(api, parts);
  sensorRoutes(api, parts);
  deadlineRoutes(api, parts);
  assetRoutes(api, parts);
  assetQualityRoutes(api, parts);
  automationRoutes(api, parts);
  partitionRoutes(api, parts);
  capacityRoutes(api, parts);
  retentionRoutes(api, parts);
  incidentRoutes(api, parts);
  runbookRoutes(api, parts);
  detectorRoutes(api, parts);
  telemetryRoutes(api, parts);
  environmentRoutes(api, parts);
  agentRoutes(api, parts);
  agentResultRoutes(api, parts);
  artifactRoutes(api, parts);
  resultRoutes(api, parts);
}

function openApi() {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Signalbox',
        version: VERSION,
        description: 'Runs data workflows, sees them fail, puts them right and proves it.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: { token: { type: 'http' as const, scheme: 'bearer' } },
      },
    },
    refResolver: {
      buildLocalReference: (
        schema: { $id?: unknown },
        _base: unknown,
        _key: string,
        index: number,
      ) => (typeof schema.$id === 'string' ? schema.$id : `schema-${index}`),
    },
  };
}
