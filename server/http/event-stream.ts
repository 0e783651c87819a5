import type { FastifyReply } from 'fastify';
import type { Live, LiveFilter } from '../live.ts';

/** Turns an answer into a stream of server-sent events. */
export function startEventStream(reply: FastifyReply, live: Live, filter: LiveFilter): void {
  reply.hijack();
  reply.raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Proxies such as nginx hold streams back unless told.
    'x-accel-buffering': 'no',
  });
  reply.raw.socket?.setNoDelay(true);
  live.attach(reply.raw, filter);
}
