/** Callbacks as CloudEvents, and which addresses they may go to. Pure. */
import type { CallbackEvent } from '../../domain/callback.ts';

/** CloudEvents 1.0, structured mode. */
export function toCloudEvent(event: CallbackEvent): Readonly<Record<string, unknown>> {
  return {
    specversion: '1.0',
    id: event.key,
    source: `/workflows/${encodeURIComponent(event.workflow)}`,
    type: `dev.signalbox.${event.task === null ? 'run' : 'task'}.${event.outcome}`,
    subject: event.task === null ? event.runId : `${event.runId}/${event.task}`,
    time: event.at,
    datacontenttype: 'application/json',
    data: event,
  };
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
