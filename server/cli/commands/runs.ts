/** `signalbox runs list|show|cancel|retry|logs` and `signalbox tasks list` */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { ShownLogLine } from '../../../domain/agent-protocol.ts';
import { isTerminalRun, type Run, type Task } from '../../../domain/run.ts';
import type { ApiClient, List } from '../api-client.ts';
import { printable, renderFields, renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';
import { inputCommand, inputsCommand } from './signals.ts';

interface ListOptions {
  readonly workflow?: string;
  readonly state?: string;
  readonly engine?: string;
  readonly limit?: number;
}

const FOLLOW_EVERY_MS = 500;
const LOG_PAGE = 1_000;

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
    .addCommand(
      remoteCommand<{ reason?: string }>('cancel <id>', 'Cancel a run', async (remote, id = '') => {
        const { reason } = remote.options;
        const body = reason === undefined ? {} : { reason };
        const run = await remote.api.post<Run>(`/runs/${segment(id)}/cancel`, body);
        remote.print(run, () =>
          run.state === 'cancelled'
            ? `Run ${run.id} is cancelled.`
            : `Run ${run.id} is told to stop; it is cancelled once its tasks have ended.`,
        );
      }).option('--reason <text>', 'why, for the record'),
    )
    .addCommand(
      remoteCommand('retry <id>', 'Run again what failed', async (remote, id = '') => {
        const run = await remote.api.post<Run>(`/runs/${segment(id)}/retry`);
        remote.print(run, () => `Run ${run.id} is ${state(run.state)}.`);
      }),
    )
    .addCommand(inputsCommand())
    .addCommand(inputCommand())
    .addCommand(logsCommand());
}

export function tasksCommand(): Command {
  return new Command('tasks').description('Tasks of a run').addCommand(
    remoteCommand('list <run>', 'The tasks of a run', async ({ api, print }, id = '') => {
      const list = await api.get<List<Task>>(`/runs/${segment(id)}/tasks`);
      print(list, ({ items }) => renderTasks(items));
    }),
  );
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

function renderRun(run: Run): string {
  return renderFields([
    ['run', run.id],
    ['workflow', run.workflow],
    ['state', state(run.state)],
    ['trigger', run.trigger],
    ['parameters', run.parameters],
    ['logical date', run.logicalDate],
    ['created', time(run.createdAt)],
    ['took', span(run.startedAt, run.finishedAt)],
    ['error', run.error && `${run.error.name}: ${run.error.message}`],
  ]);
}

function renderTasks(tasks: readonly Task[]): string {
  return renderTable(
    tasks,
    [
      ['TASK', (task) => task.key],
      ['STATE', (task) => state(task.state)],
      ['ATTEMPT', (task) => task.attempt],
      ['AGENT', (task) => task.agent],
      ['TOOK', (task) => span(task.startedAt, task.finishedAt)],
      ['ERROR', (task) => task.error?.message],
    ],
    'No tasks',
  );
}

function logsCommand(): Command {
  return remoteCommand<{ follow?: boolean; task?: string }>(
    'logs <id>',
    'What a run logged',
    async ({ api, options, print }, id = '') => {
      const read = logReader(api, id, options.task);
      for (let over = false; !over; ) {
        // Asked before the lines are read: what was logged until the end is then among them.
        over = !options.follow || isTerminalRun((await api.get<Run>(`/runs/${segment(id)}`)).state);
        for (const line of await read()) print(line, renderLine);
        if (!over) await delay(FOLLOW_EVERY_MS);
      }
    },
  )
    .option('-f, --follow', 'go on until the run has ended')
    .option('--task <key>', 'only this task');
}

/**
 * Reads what was not read before. The last page may still grow, also between lines that were read already, so
 * it is read again each time and told apart by what was seen of it.
 */
function logReader(api: ApiClient, id: string, taskKey: string | undefined) {
  let cursor: string | undefined;
  let seen = new Set<string>();
  return async (): Promise<ShownLogLine[]> => {
    const fresh: ShownLogLine[] = [];
    for (;;) {
      const query = { limit: LOG_PAGE, cursor, taskKey };
      const page = await api.get<List<ShownLogLine>>(`/runs/${segment(id)}/logs`, query);
      fresh.push(...page.items.filter((line) => !seen.has(JSON.stringify(line))));
      if (page.nextCursor === null) {
        seen = new Set(page.items.map((line) => JSON.stringify(line)));
        return fresh;
      }
      cursor = page.nextCursor;
      seen = new Set();
    }
  };
}

function renderLine(line: ShownLogLine): string {
  const at = line.at.slice(11, 23);
  const attributes =
    Object.keys(line.attributes).length > 0 ? ` ${JSON.stringify(line.attributes)}` : '';
  return `${at} ${line.level.padEnd(5)} ${printable(`${line.taskKey}  ${line.message}${attributes}`)}`;
}
