/** What the ready tasks of a run wait for, told once for all that wait for the same. */
import type { Run, Task, TaskWait } from '../../../../domain/run.ts';

export interface Wait {
  readonly message: string;
  /** Keys of the tasks. */
  readonly tasks: readonly string[];
  /** Since when the first of them waits; null where it is not known. */
  readonly since: string | null;
  /** A run that holds it. */
  readonly runId: string | null;
  /** Where it can be looked at or changed. */
  readonly place: { readonly kind: 'pool' | 'queue'; readonly name: string } | null;
}

export function waitsOf(run: Run, tasks: readonly Task[]): readonly Wait[] {
  const found = new Map<string, TaskWait & { tasks: string[] }>();
  for (const { key, waitsFor } of tasks) {
    if (!waitsFor) continue;
    const id = `${waitsFor.reason} ${waitsFor.name} ${waitsFor.message}`;
    const known = found.get(id);
    if (!known) found.set(id, { ...waitsFor, tasks: [key] });
    else {
      known.tasks.push(key);
      if (waitsFor.since < known.since) found.set(id, { ...known, since: waitsFor.since });
    }
  }
  const ofTasks = [...found.values()].map(
    ({ message, tasks: keys, since, runId, reason, name }) => ({
      ...{ message, tasks: keys, since, runId: runId ?? null, place: placeOf(reason, name) },
    }),
  );
  return [...ofRun(run), ...ofTasks.toSorted((a, b) => b.tasks.length - a.tasks.length)];
}

function ofRun({ waitsFor, pausedAt, pausedBy, state, createdAt }: Run): Wait[] {
  const waits: Wait[] = [];
  const of = { tasks: [], place: null };
  if (pausedAt) {
    const message = `The run is paused${pausedBy ? ` by ${pausedBy}` : ''}: nothing new of it starts`;
    waits.push({ ...of, message, since: pausedAt, runId: null });
  }
  if (waitsFor) {
    const message = 'The run of the date before has not succeeded (depends on past)';
    waits.push({ ...of, message, since: createdAt, runId: waitsFor.runId });
  } else if (state === 'scheduled' && !pausedAt) {
    const message = 'The run waits for room: its workflow has as many active runs as it may';
    waits.push({ ...of, message, since: createdAt, runId: null });
  }
  return waits;
}

function placeOf(reason: TaskWait['reason'], name: string): Wait['place'] {
  if (reason === 'pool-full') return { kind: 'pool', name };
  return reason.startsWith('queue-') ? { kind: 'queue', name } : null;
}
