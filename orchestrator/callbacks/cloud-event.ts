/** Callbacks as CloudEvents, and which addresses they may go to. Pure. */
import type { CallbackEvent } from '../../domain/callback.ts';

/** CloudEvents 1.0, structured mode. */
export function toCloudEvent(event: CallbackEvent): Readonly<Record<string, unknown>> {
  return {
    specversion: '1.0',
    id: event.key,
    source: sourceOf(event),
    type: `dev.signalbox.${kindOf(event)}.${event.outcome}`,
    subject: subjectOf(event),
    // An attribute of its own, so that a broker can route by it.
    ...(event.environment === undefined ? {} : { environment: event.environment }),
    time: event.at,
    datacontenttype: 'application/json',
    data: event,
  };
}

function sourceOf({ environment, workflow }: CallbackEvent): string {
  const where = environment === undefined ? '' : `/environments/${encodeURIComponent(environment)}`;
  return `${where}/workflows/${encodeURIComponent(workflow)}`;
}

function kindOf({ held, task }: CallbackEvent): string {
  if (held) return 'asset';
  return task === null ? 'run' : 'task';
}

function subjectOf({ held, workflow, runId, task }: CallbackEvent): string {
  if (held) return held.partition === null ? workflow : `${workflow}/${held.partition}`;
  return task === null ? runId : `${runId}/${task}`;
}

/**
 * Whether an address begins with one of those that are allowed: the same scheme, host and port, and a path that is
 * theirs or below it.
 */
export function isAllowed(url: string, allowed: readonly string[]): boolean {
  const to = new URL(url);
  return allowed.some((one) => {
    if (!URL.canParse(one)) return false;
    const { origin, pathname } = new URL(one);
    const folder = pathname.endsWith('/') ? pathname : `${pathname}/`;
    return to.origin === origin && (to.pathname === pathname || to.pathname.startsWith(folder));
  });
}
