/** Results of tasks to download: streamed, whatever their size, and never shown by a browser. */
import { Type } from 'typebox';
import type { App } from '../http/app-type.ts';
import { fileNamePart, HARMLESS } from '../http/harmless.ts';
import type { Parts } from '../parts.ts';
import { Closed, Key } from '../schemas/parts.ts';

const ByTask = Closed({ id: Type.String({ minLength: 1, maxLength: 100 }), key: Key });
const TYPES = { json: 'application/json', binary: 'application/octet-stream' } as const;

export function resultRoutes(app: App, { orchestrator }: Parts): void {
  app.get(
    '/runs/:id/tasks/:key/result',
    {
      config: { role: 'viewer' },
      schema: {
        tags: ['runs'],
        summary: 'Result of a task, or of a step of a flow: JSON, or bytes',
        params: ByTask,
      },
    },
    async ({ params }, reply) => {
      const { id, key } = params;
      const { content, bytes, sha256, type } = await orchestrator.results.taskResult(id, key);
      const name = fileNamePart(key).slice(0, 100);
      reply
        .headers(HARMLESS)
        .header(
          'content-disposition',
          `attachment; filename="${name}.${type === 'json' ? 'json' : 'bin'}"`,
        )
        .type(TYPES[type]);
      if (bytes !== null) reply.header('content-length', bytes);
      if (sha256 !== null) {
        const digest = Buffer.from(sha256, 'hex').toString('base64');
        reply.header('repr-digest', `sha-256=:${digest}:`);
      }
      return reply.send(content);
    },
  );
}
