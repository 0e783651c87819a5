/** `signalbox runs list|show|logs` and what else is done with runs */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { ShownLogLine } from '../../../domain/agent-protocol.ts';
import { isTerminalRun, type Run, type Task } from '../../../domain/run.ts';
import type { ApiClient, List } from '../api-client.ts';
import { printable, renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';
import {
  cancelCommand,
  markCommand,
  pauseCommand,
  rerunCommand,
  retryCommand,
} from './run-control.ts';
import { renderRun, renderTasks } from './run-lines.ts';
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
    .addCommand(cancelCommand())
    .addCommand(retryCommand())
    .addCommand(rerunCommand())
    .addCommand(markCommand())
    .addCommand(pauseCommand('pause', 'Start nothing new of it until it is resumed'))
    .addCommand(pauseCommand('resume', 'Let a paused run go on'))
    .addCommand(inputsCommand())
    .addCommand(inputCommand())
    .addCommand(logsCommand());
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
