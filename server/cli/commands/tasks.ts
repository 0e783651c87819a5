/** `signalbox tasks list|show|clear` */
import { Command } from 'commander';
import type { Task } from '../../../domain/run.ts';
import type { Attempt } from '../../../domain/run-control.ts';
import { errorText } from '../../../domain/run-error.ts';
import type { List } from '../api-client.ts';
import { type EffectOptions, spanEnd, spanStart, withEffect } from '../effect.ts';
import { UsageError } from '../exit.ts';
import { renderFields, renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment } from '../remote.ts';
import { renderTasks } from './run-lines.ts';

interface ClearOptions extends EffectOptions {
  readonly task?: readonly string[];
  readonly downstream?: boolean;
  readonly upstream?: boolean;
  readonly failedOnly?: boolean;
  readonly force?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly state?: readonly string[];
}

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function tasksCommand(): Command {
  return new Command('tasks')
    .description('Tasks of runs')
    .addCommand(
      remoteCommand('list <run>', 'The tasks of a run', async ({ api, print }, id = '') => {
        const list = await api.get<List<Task>>(`/runs/${segment(id)}/tasks`);
        print(list, ({ items }) => renderTasks(items));
      }),
    )
    .addCommand(showCommand())
    .addCommand(clearCommand());
}

function showCommand(): Command {
  return remoteCommand(
    'show <run> <task>',
    'One task with its attempts',
    async ({ api, print }, id = '', key = '') => {
      const { items: tasks } = await api.get<List<Task>>(`/runs/${segment(id)}/tasks`);
      const path = `/runs/${segment(id)}/tasks/${segment(key)}/attempts`;
      const { items: attempts } = await api.get<List<Attempt>>(path);
      const task = tasks.find((one) => one.key === key);
      print({ ...task, attempts }, () => `${renderTask(task)}\n\n${renderAttempts(attempts)}`);
    },
  );
}

function clearCommand(): Command {
  return remoteCommand<ClearOptions>(
    'clear <workflow-or-run>',
    'Run tasks again, of one run or of many of a workflow',
    async (remote, of = '') => {
      const { options } = remote;
      const tasks = {
        ...(options.task ? { tasks: options.task } : {}),
        ...(options.downstream ? { downstream: true } : {}),
        ...(options.upstream ? { upstream: true } : {}),
        ...(options.failedOnly ? { onlyFailed: true } : {}),
        ...(options.force ? { force: true } : {}),
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      };
      if (RUN_ID.test(of)) {
        if (options.from ?? options.to ?? options.state) {
          throw new UsageError('--from, --to and --state choose among the runs of a workflow');
        }
        await withEffect(remote, `/runs/${segment(of)}/clear`, tasks);
        return;
      }
      await withEffect(remote, '/runs/clear', {
        ...{ workflow: of, ...tasks },
        ...(options.from === undefined ? {} : { from: spanStart(options.from) }),
        ...(options.to === undefined ? {} : { to: spanEnd(options.to) }),
        ...(options.state ? { states: options.state } : {}),
      });
    },
  )
    .option('--task <key...>', 'these tasks, or recorded steps of a flow; all unless told')
    .option('--downstream', 'and everything that comes after them')
    .option('--upstream', 'and everything that comes before them')
    .option('--failed-only', 'of these only what failed, was cancelled, or could not run')
    .option('--force', 'stop chosen tasks that are running; else such runs are left alone')
    .option('--from <date>', 'runs of a workflow from this logical date on')
    .option('--to <date>', 'runs before this time; a date includes its whole day')
    .option('--state <state...>', 'runs of a workflow in these states')
    .option('--reason <text>', 'why, for the record')
    .option('--dry-run', 'show the effect and change nothing')
    .option('-y, --yes', 'do not ask');
}

function renderTask(task: Task | undefined): string {
  if (!task) return '';
  return renderFields([
    ['task', task.key],
    ['state', state(task.state)],
    ['why', task.reason],
    ['after', task.dependsOn.join(', ')],
    ['attempts', task.attempts],
    ['result', task.result],
    ['error', task.error && errorText(task.error)],
  ]);
}

function renderAttempts(attempts: readonly Attempt[]): string {
  return renderTable(
    attempts,
    [
      ['ATTEMPT', (one) => one.attempt],
      ['STATE', (one) => state(one.state)],
      ['AGENT', (one) => one.agent],
      ['STARTED (UTC)', (one) => time(one.startedAt)],
      ['TOOK', (one) => span(one.startedAt, one.finishedAt)],
      ['RESULT', (one) => (one.resultBytes === null ? null : `${one.resultBytes} bytes`)],
      ['ERROR', (one) => one.error?.message],
    ],
    'No attempt yet',
  );
}
