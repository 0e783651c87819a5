/**
 * What people do to runs by hand. Each takes `dryRun`, in the body or in the query, and tells its effect. Cancel, retry,
 * pause and resume of one run answer with the run where they are done.
 */
import { Type } from 'typebox';
import type { Run } from '../../domain/run.ts';
import type { Attempt, Effect, RunActionRecord, RunSelection } from '../../domain/run-control.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key, Named } from '../schemas/parts.ts';
import {
  CancelBody,
  CancelManyBody,
  ClearBody,
  ClearManyBody,
  DryRunQuery,
  MarkBody,
  PauseBody,
  RerunBody,
  RetryBody,
} from '../schemas/run-control.ts';

const tags = ['runs'];
const operator = { role: 'operator' } as const;
const viewer = { role: 'viewer' } as const;
const RunId = Type.String({ minLength: 1, maxLength: 100 });
const ById = Closed({ id: RunId });
const EffectOf = Named<Effect>('Effect');
const RunOrEffect = Type.Unsafe<Run | Effect>({ anyOf: [{ $ref: 'Run#' }, { $ref: 'Effect#' }] });

function listOf<T>(name: string) {
  return Type.Unsafe<{ items: readonly T[]; nextCursor: null }>({
    type: 'object',
    required: ['items', 'nextCursor'],
    properties: {
      items: { type: 'array', items: { $ref: `${name}#` } },
      nextCursor: { type: 'null' },
    },
  });
}

/** A body with what the query says of a dry run; the body's own word is the stronger one. */
function asked<T extends { dryRun?: boolean }>(body: T, query: { dryRun?: boolean }): T {
  return query.dryRun === undefined || body.dryRun !== undefined
    ? body
    : { ...body, dryRun: query.dryRun };
}

export function runControlRoutes(app: App, parts: Parts): void {
  clearRoutes(app, parts);
  endRoutes(app, parts);
  againRoutes(app, parts);
  pauseRoutes(app, parts);
  historyRoutes(app, parts);
}

function clearRoutes(app: App, { orchestrator: { runControl } }: Parts): void {
  app.post(
    '/runs/:id/clear',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Run tasks again, also of a run that has ended', params: ById },
        ...{ querystring: DryRunQuery, body: ClearBody, response: { 200: EffectOf } },
      },
    },
    (request) =>
      runControl.clear(request.params.id, asked(request.body, request.query), {
        name: callerOf(request).actor,
      }),
  );
  app.post(
    '/runs/clear',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Run tasks of many runs again, at most 1,000 runs a call' },
        ...{ querystring: DryRunQuery, body: ClearManyBody, response: { 200: EffectOf } },
      },
    },
    (request) => {
      const { selection, rest } = splitSelection(request.body);
      const actor = { name: callerOf(request).actor };
      return runControl.clearMany(selection, asked(rest, request.query), actor);
    },
  );
}

function endRoutes(app: App, { orchestrator: { runControl, runs } }: Parts): void {
  app.post(
    '/runs/:id/mark',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Count a run, or tasks of it, as succeeded or failed', params: ById },
        ...{ querystring: DryRunQuery, body: MarkBody, response: { 200: EffectOf } },
      },
    },
    (request) =>
      runControl.mark(request.params.id, asked(request.body, request.query), {
        name: callerOf(request).actor,
      }),
  );
  app.post(
    '/runs/:id/cancel',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Cancel a run; it is cancelled once its tasks have ended' },
        ...{ params: ById, querystring: DryRunQuery, body: CancelBody },
        response: { 200: RunOrEffect },
      },
    },
    (request) => {
      const { actor } = callerOf(request);
      const { id } = request.params;
      const body = asked(request.body, request.query);
      if (body.dryRun || body.tasks) return runControl.cancel(id, body, { name: actor });
      return runs.cancel(id, body.reason ?? `cancelled by ${actor}`, { name: actor });
    },
  );
  app.post(
    '/runs/cancel',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Cancel many runs, at most 1,000 a call' },
        ...{ querystring: DryRunQuery, body: CancelManyBody, response: { 200: EffectOf } },
      },
    },
    (request) => {
      const { selection, rest } = splitSelection(request.body);
      const actor = { name: callerOf(request).actor };
      return runControl.cancelMany(selection, asked(rest, request.query), actor);
    },
  );
}

function againRoutes(app: App, { orchestrator: { runControl, runs } }: Parts): void {
  app.post(
    '/runs/:id/retry',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'Run again what failed; what succeeded keeps its result' },
        ...{ params: ById, querystring: DryRunQuery, body: RetryBody },
        response: { 200: RunOrEffect },
      },
    },
    async (request) => {
      const { id } = request.params;
      const body = asked(request.body, request.query);
      const effect = await runControl.retry(id, body, { name: callerOf(request).actor });
      return body.dryRun ? effect : runs.get(id);
    },
  );
  app.post(
    '/runs/:id/rerun',
    {
      config: operator,
      schema: {
        ...{ tags, summary: 'A new run with the parameters and date of one that has ended' },
        ...{ params: ById, body: RerunBody },
        response: { 200: Named<Run>('Run'), 201: Named<Run>('Run') },
      },
    },
    async (request, reply) => {
      const actor = { name: callerOf(request).actor };
      const { run, created } = await runControl.rerun(request.params.id, request.body, actor);
      return reply.code(created ? 201 : 200).send(run);
    },
  );
}

function pauseRoutes(app: App, { orchestrator: { runControl, runs } }: Parts): void {
  for (const [word, summary] of [
    ['pause', 'Start nothing new of a run until it is resumed'],
    ['resume', 'Let a paused run go on'],
  ] as const) {
    app.post(
      `/runs/:id/${word}`,
      {
        config: operator,
        schema: {
          ...{ tags, summary, params: ById, querystring: DryRunQuery, body: PauseBody },
          response: { 200: RunOrEffect },
        },
      },
      async (request) => {
        const { id } = request.params;
        const body = asked(request.body, request.query);
        const effect = await runControl[word](id, body, { name: callerOf(request).actor });
        return body.dryRun ? effect : runs.get(id);
      },
    );
  }
}

function historyRoutes(app: App, { orchestrator: { runControl } }: Parts): void {
  app.get(
    '/runs/:id/tasks/:key/attempts',
    {
      config: viewer,
      schema: {
        ...{ tags, summary: 'Attempts of a task, oldest first' },
        ...{
          params: Closed({ id: RunId, key: Key }),
          response: { 200: listOf<Attempt>('Attempt') },
        },
      },
    },
    async (request) => {
      const { id, key } = request.params;
      return { items: await runControl.attempts(id, key), nextCursor: null };
    },
  );
  app.get(
    '/runs/:id/actions',
    {
      config: viewer,
      schema: {
        ...{ tags, summary: 'What people did to a run, newest first', params: ById },
        response: { 200: listOf<RunActionRecord>('RunAction') },
      },
    },
    async (request) => ({
      items: await runControl.actions(request.params.id),
      nextCursor: null,
    }),
  );
}

/** The part of a body that says which runs are meant, and what is left. */
function splitSelection<T extends RunSelection>(
  body: T,
): { selection: RunSelection; rest: Omit<T, keyof RunSelection> } {
  const { workflow, states, from, to, limit, cursor, ...rest } = body;
  const selection = {
    workflow,
    ...(states === undefined ? {} : { states }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  return { selection, rest };
}
