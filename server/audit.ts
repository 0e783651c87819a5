/**
 * The audit trail: one row for each call that changes something, refused ones included. Rows are written
 * before the answer leaves, in batches that grow by themselves under load: one insert under way at a time.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Pool } from 'pg';
import type { Clock } from '../domain/time.ts';
import { codeOf } from './http/problems.ts';
import { type AuditEntry, insertAudit } from './store/audit.ts';

const CHANGING = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
const MAX_BATCH = 1_000;
const MAX_SUBJECT = 500;

interface Waiting {
  readonly entry: AuditEntry;
  done(): void;
}

/** Writes entries in batches. */
export function createAuditWriter(db: Pool, log: (message: string) => void) {
  const waiting: Waiting[] = [];
  let writing = false;

  async function drain(): Promise<void> {
    if (writing) return;
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, MAX_BATCH);
      await insertAudit(
        db,
        batch.map(({ entry }) => entry),
      ).catch((error: unknown) => log(`${batch.length} audit entries were lost: ${error}`));
      for (const { done } of batch) done();
    }
    writing = false;
  }

  return {
    /** Resolves once the entry is stored, or could not be (which is logged). */
    record(entry: AuditEntry): Promise<void> {
      return new Promise((done) => {
        waiting.push({ entry, done });
        void drain();
      });
    },
  };
}

export type AuditWriter = ReturnType<typeof createAuditWriter>;

/** Records the changing calls of all routes that do not say `audit: false`. */
export function addAudit(app: FastifyInstance, writer: AuditWriter, clock: Clock): void {
  const codes = new WeakMap<FastifyRequest, string>();
  app.addHook('onError', async (request, _reply, error) => {
    codes.set(request, codeOf(error));
  });
  app.addHook('onSend', async (request: FastifyRequest, reply: FastifyReply) => {
    const { config, url } = request.routeOptions;
    if (!CHANGING.has(request.method) || config.audit === false || url === undefined) return;
    // Whoever has no token must not be able to fill the trail.
    if (request.caller === null) return;
    await writer.record({
      at: clock.now(),
      actor: request.caller.actor,
      role: request.caller.role,
      action: `${request.method} ${url}`,
      subject: (request.url.split('?', 1)[0] ?? '').slice(0, MAX_SUBJECT),
      outcome: reply.statusCode < 400 ? 'ok' : (codes.get(request) ?? 'refused'),
      status: reply.statusCode,
      request: request.id,
    });
  });
}
