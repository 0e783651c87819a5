/**
 * Tokens of agents that are limited to one environment: with such a token an agent registers there and nowhere else,
 * and speaks for sessions of that environment alone. Asked before any route of agents runs.
 */
import type { FastifyInstance } from 'fastify';
import { PRODUCTION } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { EnvironmentService } from '../../orchestrator/environments/contract.ts';

const SESSION = /\/agent\/:sessionId(\/|$)/;
const REGISTER = '/api/v1/agent/register';

export function limitAgents(app: FastifyInstance, environments: EnvironmentService): void {
  app.addHook('preHandler', async (request) => {
    const limit = request.caller?.environment ?? null;
    const url = request.routeOptions.url ?? '';
    if (url === REGISTER) {
      const body = request.body as { environment?: string };
      if (limit === null) {
        if (body.environment === PRODUCTION) delete body.environment;
        return;
      }
      // The token says it where the agent does not.
      body.environment ??= limit;
      if (body.environment !== limit) throw refused(limit, body.environment);
      return;
    }
    if (limit === null || !SESSION.test(url)) return;
    const { sessionId } = request.params as { readonly sessionId: string };
    const environment = await environments.ofSession(sessionId);
    if (environment !== limit) throw refused(limit, environment ?? PRODUCTION);
  });
}

function refused(limit: string, wanted: string): SignalboxError {
  return new SignalboxError(
    'forbidden',
    `the token is for agents of the environment ${limit}, and not for ${wanted}`,
  );
}
