/** What is kept for how long. */
import { SignalboxError } from '../../domain/errors.ts';
import type { RetentionPolicy, RetentionRound } from '../../domain/retention.ts';
import { formatDuration, parseDuration } from '../../domain/time.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import { pageOfWhole } from '../http/whole-list.ts';
import type { Parts } from '../parts.ts';
import { Closed, PageOf, pageFields } from '../schemas/parts.ts';
import { RetentionBody } from '../schemas/retention.ts';

const FOREVER = 'forever';

/** A policy with durations as people write them. */
export interface RetentionReply {
  readonly kind: string;
  readonly what: string;
  readonly in: RetentionPolicy['in'];
  readonly keep: string;
  readonly default: string;
  readonly least: string;
  readonly setBy: string | null;
  readonly setAt: string | null;
  readonly last: RetentionRound | null;
}

export function retentionRoutes(app: App, { orchestrator }: Parts): void {
  const tags = ['retention'];
  const response = { 200: PageOf<RetentionReply>('RetentionPolicy') };
  app.get(
    '/retention',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'What is kept for how long, and what went last' },
        ...{ querystring: Closed(pageFields), response },
      },
    },
    async ({ query }) => {
      const policies = (await orchestrator.retention.list()).map(replyOf);
      return pageOfWhole(policies, query, ({ kind }) => kind);
    },
  );
  app.put(
    '/retention',
    {
      config: { role: 'admin' },
      schema: {
        ...{ tags, summary: 'Set how long kinds are kept: all of them or, on a fault, none' },
        ...{ body: RetentionBody, response },
      },
    },
    async (request) => {
      const keeps = Object.entries(request.body.keep).map(
        ([kind, text]) => [kind, readKeep(kind, text)] as const,
      );
      const actor = { name: callerOf(request).actor };
      const policies = await orchestrator.retention.set(Object.fromEntries(keeps), actor);
      return { items: policies.map(replyOf), nextCursor: null };
    },
  );
}

function readKeep(kind: string, text: string): number | null {
  if (text === FOREVER) return null;
  try {
    return parseDuration(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SignalboxError('invalid-request', `${kind}: ${why}, or "forever"`);
  }
}

function replyOf(policy: RetentionPolicy): RetentionReply {
  const { kind, what, setBy, setAt, last } = policy;
  const text = (ms: number | null) => (ms === null ? FOREVER : formatDuration(ms));
  return {
    ...{ kind, what, in: policy.in, setBy, setAt, last },
    ...{ keep: text(policy.keepMs), default: text(policy.defaultMs), least: text(policy.leastMs) },
  };
}
