/** `signalbox runs list|show|logs|result` and what else is done with runs */
import { Command } from 'commander';
import type { Run, Task } from '../../../domain/run.ts';
import type { List } from '../api-client.ts';
import { renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';
import { callbacksCommand } from './deadlines.ts';
import {
  cancelCommand,
  markCommand,
  pauseCommand,
  rerunCommand,
  retryCommand,
} from './run-control.ts';
import { renderRun, renderTasks } from './run-lines.ts';
import { logsCommand } from './run-logs.ts';
import { resultCommand } from './run-result.ts';
import { inputCommand, inputsCommand } from './signals.ts';

interface ListOptions {
  readonly workflow?: string;
  readonly state?: string;
  readonly engine?: string;
  readonly limit?: number;
}

export function runsCommand(): Command {
  return new Command('runs')
    .description('Runs of workflows, of every engine')
    .addCommand(listCommand())
    .addCommand(
      remoteCommand('show <id>', 'One run with its tasks', async ({ api, print }, id = '') => {
        const run = await api.get<Run>(`/runs/${segment(id)}`);
        const { items: tasks } = await api.get<List<Task>>(`/runs/${segment(id)}/tasks`);
        print({ ...run, tasks }, () => `${renderRun(run)}\n\n${renderTasks(tasks)}`);
      }),
    )
    .addCommand(cancelCommand())
    .addCommand(retryCommand())
    .addCommand(rerunCommand())
    .addCommand(markCommand())
    .addCommand(pauseCommand('pause', 'Start nothing new of it until it is resumed'))
    .addCommand(pauseCommand('resume', 'Let a paused run go on'))
    .addCommand(inputsCommand())
    .addCommand(inputCommand())
    .addCommand(callbacksCommand())
    .addCommand(logsCommand())
    .addCommand(resultCommand());
}

function listCommand(): Command {
  return remoteCommand<ListOptions>('list', 'Runs, newest first', async (remote) => {
    const { workflow, state: wanted, engine, limit = 20 } = remote.options;
    const query = { workflow, state: wanted, engine, limit };
    const list = await remote.api.get<List<Run>>('/runs', query);
    remote.print(list, ({ items }) =>
      renderTable(
        items,
        [
          ['RUN', (run) => run.id],
          ['WORKFLOW', (run) => run.workflow],
          ['STATE', (run) => state(run.state)],
          ['TRIGGER', (run) => run.trigger],
          ['CREATED (UTC)', (run) => time(run.createdAt)],
          ['TOOK', (run) => span(run.startedAt, run.finishedAt)],
        ],
        'No such runs. Start one: signalbox workflows trigger NAME',
      ),
    );
  })
    .option('--workflow <name>')
    .option('--state <state>')
    .option('--engine <name>')
    .option('--limit <n>', 'at most so many, 20 unless told', wholeNumber);
}
