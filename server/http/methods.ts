/** A known path with a wrong method is told so (405 with `Allow`), rather than that it does not exist. */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { SignalboxError } from '../../domain/errors.ts';

const METHODS: readonly HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Notes the routes that are registered from here on; call the result once all of them are. */
export function refuseOtherMethods(app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = known.get(url) ?? new Set();
    known.set(url, methods);
    for (const one of [method].flat()) methods.add(one);
  });
  return () => {
    for (const [url, methods] of [...known]) {
      if (url.includes('*')) continue;
      const allow = [...methods].sort().join(', ');
      const others = METHODS.filter((method) => !methods.has(method));
      if (others.length === 0) continue;
      app.route({
        method: [...others],
        url,
        config: { role: 'any', audit: false, trace: false },
        schema: { hide: true },
        handler: async (_request, reply) => {
          reply.header('allow', allow);
          throw new SignalboxError('method-not-allowed', `allowed are ${allow}`);
        },
      });
      app.route({
        method: 'OPTIONS',
        url,
        config: { role: 'any', audit: false, trace: false },
        schema: { hide: true },
        handler: (_request, reply) => reply.code(204).header('allow', allow).send(),
      });
    }
  };
}
