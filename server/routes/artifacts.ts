/** What tasks show people: reports, tables, links, pictures, progress. */
import { Type } from 'typebox';
import { ARTIFACT_KINDS, type Artifact, SHOWN_IMAGES } from '../../domain/artifact.ts';
import type { App } from '../http/app-type.ts';
import { fileNamePart, HARMLESS } from '../http/harmless.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key, Name, Named, OneOf, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['artifacts'];
const ById = Closed({ id: Type.String({ minLength: 1, maxLength: 100 }) });
const role = { role: 'viewer' } as const;

export function artifactRoutes(app: App, { orchestrator }: Parts): void {
  const { results } = orchestrator;
  app.get(
    '/runs/:id/artifacts',
    {
      config: role,
      schema: {
        ...{ tags, summary: 'What tasks of a run show, in the order in which they did' },
        ...{ params: ById, response: { 200: PageOf<Artifact>('Artifact') } },
      },
    },
    async ({ params }) => ({ items: await results.artifactsOfRun(params.id), nextCursor: null }),
  );
  app.get(
    '/artifacts',
    {
      config: role,
      schema: {
        ...{ tags, summary: 'Artifacts, newest first; of one key its versions across runs' },
        querystring: Closed({
          ...pageFields,
          key: Type.Optional(Key),
          kind: Type.Optional(OneOf(ARTIFACT_KINDS)),
        }),
        response: { 200: PageOf<Artifact>('Artifact') },
      },
    },
    ({ query }) => results.artifacts(query),
  );
  app.get(
    '/artifacts/:id',
    {
      config: role,
      schema: {
        ...{ tags, summary: 'One artifact', params: ById },
        response: { 200: Named<Artifact>('Artifact') },
      },
    },
    ({ params }) => results.artifact(params.id),
  );
  contentRoute(app, results);
  app.post(
    '/workflows/:name/cache/clear',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags: ['workflows'], summary: 'Forget cached results of a workflow, or of one task' },
        ...{ params: Closed({ name: Name }), body: Closed({ task: Type.Optional(Key) }) },
        response: { 200: Type.Object({ forgotten: Type.Integer() }) },
      },
    },
    async ({ params, body }) => ({
      forgotten: await results.forgetCached(params.name, body.task),
    }),
  );
}

function contentRoute(app: App, results: Parts['orchestrator']['results']): void {
  app.get(
    '/artifacts/:id/content',
    {
      config: role,
      schema: { tags, summary: 'Content of an artifact, as bytes', params: ById },
    },
    async ({ params }, reply) => {
      const { artifact, content } = await results.artifactContent(params.id);
      const isShown = SHOWN_IMAGES.includes(artifact.mime);
      return reply
        .headers(HARMLESS)
        .header(
          'content-disposition',
          isShown ? 'inline' : `attachment; filename="${fileName(artifact)}"`,
        )
        .type(isShown ? artifact.mime : 'application/octet-stream')
        .send(content);
    },
  );
}

const ENDINGS: Readonly<Record<string, string>> = {
  'text/markdown': 'md',
  'application/json': 'json',
  'image/svg+xml': 'svg',
};

function fileName({ key, mime, version }: Artifact): string {
  return `${fileNamePart(key)}-${version}.${ENDINGS[mime] ?? 'bin'}`;
}
