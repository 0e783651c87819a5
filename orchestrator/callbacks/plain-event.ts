/** Events of branches as they are told: by the names that their code knows, with the environment beside them. Pure. */
import type { CallbackEvent } from '../../domain/callback.ts';
import { environmentOf, plainName, plainWords } from '../../domain/environment.ts';

/** What is stored is by stored names; production's is told as it is. */
export function plainEvent(event: CallbackEvent): CallbackEvent {
  const environment = environmentOf(event.workflow);
  if (environment === null) return event;
  const plain = (text: string) => plainWords(text, environment);
  const { held } = event;
  return {
    ...event,
    environment,
    key: plain(event.key),
    workflow: plainName(event.workflow),
    runId: plain(event.runId),
    task: event.task && plainName(event.task),
    error: event.error && plain(event.error),
    ...(held ? { held: { ...held, upstream: held.upstream && plainName(held.upstream) } } : {}),
  };
}
