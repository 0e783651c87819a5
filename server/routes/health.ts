/** What needs no token: alive, and able to work. And what Prometheus scrapes. */
import { Type } from 'typebox';
import { type Readiness, readiness } from '../health.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { OneOf } from '../schemas/parts.ts';

const tags = ['health'];

const ReadinessSchema = Type.Unsafe<Readiness>(
  Type.Object({
    status: OneOf(['ready', 'degraded', 'unavailable']),
    parts: Type.Object({
      postgres: OneOf(['ok', 'unreachable']),
      clickhouse: OneOf(['ok', 'unreachable']),
    }),
    telemetry: Type.Object({
      lagMs: Type.Union([Type.Number(), Type.Null()]),
      spooledBytes: Type.Integer(),
    }),
    workflows: Type.Object({ fileErrors: Type.Union([Type.Integer(), Type.Null()]) }),
  }),
);

export function healthRoutes(app: App, parts: Parts): void {
  app.get(
    '/healthz',
    {
      config: { role: 'open', trace: false },
      schema: {
        ...{ tags, summary: 'The process is alive' },
        response: { 200: Type.Object({ status: Type.Literal('ok') }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    {
      config: { role: 'open', trace: false },
      schema: {
        ...{ tags, summary: 'Whether it can work, with the state of each part' },
        response: { 200: ReadinessSchema, 503: ReadinessSchema },
      },
    },
    async (_request, reply) => {
      const state = await readiness(parts);
      return reply.code(state.status === 'unavailable' ? 503 : 200).send(state);
    },
  );
  app.get(
    '/metrics',
    {
      config: { role: 'metrics', trace: false },
      schema: {
        ...{ tags, summary: 'Metrics in the text format of Prometheus' },
        response: {
          200: {
            description: 'Text format 0.0.4',
            content: { 'text/plain': { schema: Type.String() } },
          },
        },
      },
    },
    async (_request, reply) => {
      const text = await parts.metrics.metrics();
      return reply.type(parts.metrics.contentType).send(text);
    },
  );
}
