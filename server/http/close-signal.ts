import type { FastifyReply } from 'fastify';

/** Aborts when the client goes away before its answer is sent, so that nobody waits for nobody. */
export function closeSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
