/** Runs and tasks as lines. */
import type { Run, Task } from '../../../domain/run.ts';
import { errorText } from '../../../domain/run-error.ts';
import { renderFields, renderTable, span, state, time } from '../output.ts';

export function renderRun(run: Run): string {
  return renderFields([
    ['run', run.id],
    ['workflow', run.workflow],
    ['state', state(run.state)],
    ...(run.pausedAt
      ? [['paused', `${time(run.pausedAt)} by ${run.pausedBy ?? 'somebody'}`] as const]
      : []),
    ['trigger', run.trigger],
    ['parameters', run.parameters],
    ['logical date', run.logicalDate],
    ['created', time(run.createdAt)],
    ['took', span(run.startedAt, run.finishedAt)],
    ...(run.retryOf === null ? [] : [['retry of', run.retryOf] as const]),
    ['error', run.error && errorText(run.error)],
  ]);
}

export function renderTasks(tasks: readonly Task[]): string {
  return renderTable(
    tasks,
    [
      ['TASK', (task) => task.key],
      ['STATE', (task) => state(task.state)],
      ['ATTEMPT', (task) => task.attempt],
      ['AGENT', (task) => task.agent],
      ['TOOK', (task) => span(task.startedAt, task.finishedAt)],
      ['ERROR', (task) => task.error?.message ?? task.reason],
    ],
    'No tasks',
  );
}
