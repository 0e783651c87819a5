import type { FastifyReply } from 'fastify';

/**
 * Aborts when the client goes away before its answer is sent, so that nobody waits for nobody, and when the
 * server ends.
 */
export function closeSignal(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return AbortSignal.any([controller.signal, closing]);
}
