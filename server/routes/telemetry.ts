/** Telemetry in and out over the API's own port: OpenLineage in, reading ClickHouse, live changes, scraping. */
import { ClickHouseError } from '@clickhouse/client';
import { Type } from 'typebox';
import { SignalboxError } from '../../domain/errors.ts';
import type { QueryRows } from '../../domain/finding.ts';
import type { App } from '../http/app-type.ts';
import { environmentIn } from '../http/environments.ts';
import { startEventStream } from '../http/event-stream.ts';
import type { Parts } from '../parts.ts';
import { AnyObject, Closed } from '../schemas/parts.ts';

const tags = ['telemetry'];
const MAX_LINEAGE_BYTES = 16 * 1024 * 1024;
const MAX_SQL = 20_000;

interface LineageReply {
  readonly accepted: number;
  readonly faults: readonly { index: number; path: string; message: string }[];
}

const LineageReplySchema = Type.Unsafe<LineageReply>(
  Type.Object({
    accepted: Type.Integer(),
    faults: Type.Array(
      Type.Object({ index: Type.Integer(), path: Type.String(), message: Type.String() }),
    ),
  }),
);

export function telemetryRoutes(app: App, { collector, live }: Parts): void {
  app.post(
    '/lineage',
    {
      config: { role: 'ingest', audit: false },
      bodyLimit: MAX_LINEAGE_BYTES,
      schema: {
        ...{ tags, summary: 'OpenLineage: a run, job or dataset event, or an array of them' },
        body: Type.Union([AnyObject, Type.Array(Type.Unknown(), { maxItems: 10_000 })]),
        response: { 201: LineageReplySchema },
      },
    },
    async (request, reply) => {
      const answer = await collector.receiveOpenLineage(request.body);
      if (answer.accepted === 0 && answer.faults.length > 0) {
        const pointTo = Array.isArray(request.body) ? pointToFault : pointIntoEvent;
        throw new SignalboxError('invalid-request', undefined, answer.faults.map(pointTo));
      }
      return reply.code(201).send(answer);
    },
  );
  app.post(
    '/query',
    {
      config: { role: 'viewer', audit: false },
      schema: {
        ...{ tags, summary: 'A SELECT on ClickHouse, as the user who can only read' },
        body: Closed({
          sql: Type.String({ minLength: 1, maxLength: MAX_SQL }),
          parameters: Type.Optional(AnyObject),
        }),
        response: {
          200: Type.Unsafe<{ rows: QueryRows }>(Type.Object({ rows: Type.Array(AnyObject) })),
        },
      },
    },
    async ({ body }) => {
      const query = { sql: body.sql, parameters: body.parameters ?? {} };
      const rows = await collector.query(query).catch((error: unknown) => {
        const { cause } = error as Error;
        if (!(cause instanceof ClickHouseError)) throw error;
        throw new SignalboxError('invalid-request', `ClickHouse says: ${cause.message}`);
      });
      return { rows };
    },
  );
  app.get(
    '/events',
    {
      config: { role: 'viewer', trace: false },
      schema: {
        ...{ tags, summary: 'Server-sent events: what changes, as topic and id' },
        querystring: Closed({
          run: Type.Optional(
            Type.String({ format: 'uuid', description: 'Changes of this run alone' }),
          ),
        }),
      },
    },
    (request, reply) => {
      if (live.isFull()) throw new SignalboxError('too-many-requests', 'too many open streams');
      const { run } = request.query;
      const environment = environmentIn(request);
      startEventStream(reply, live, { environment, run: run?.toLowerCase() });
    },
  );
}

function pointIntoEvent({ path, message }: LineageReply['faults'][number]) {
  return { path, message };
}

function pointToFault(fault: LineageReply['faults'][number]) {
  return { path: `/${fault.index}${fault.path}`, message: fault.message };
}
