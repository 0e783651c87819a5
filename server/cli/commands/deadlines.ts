/** `signalbox deadlines list` and `signalbox runs callbacks` */
import { Command } from 'commander';
import type { CallbackRecord } from '../../../domain/callback.ts';
import type { Deadline } from '../../../domain/deadline.ts';
import type { List } from '../api-client.ts';
import { printable, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

interface ListOptions {
  readonly workflow?: string;
  readonly open?: boolean;
  readonly pending?: boolean;
  readonly run?: string;
  readonly limit?: number;
}

export function deadlinesCommand(): Command {
  return new Command('deadlines')
    .description('When runs and tasks must have ended, and what was late')
    .addCommand(
      remoteCommand<ListOptions>(
        'list',
        'What was late, the newest first',
        async ({ api, options, print }) => {
          const { workflow, open, pending, run, limit } = options;
          const missed = pending ? 'false' : open ? 'open' : 'true';
          const list =
            run === undefined
              ? await api.get<List<Deadline>>('/deadlines', { workflow, missed, limit })
              : await api.get<List<Deadline>>(`/runs/${segment(run)}/deadlines`);
          print(list, ({ items }) => renderDeadlines(items));
        },
      )
        .option('--workflow <name>')
        .option('--open', 'only what has not ended')
        .option('--pending', 'what is to come, the next one first')
        .option('--run <id>', 'of this run, what is to come as well')
        .option('--limit <n>', 'at most so many', wholeNumber),
    );
}

function renderDeadlines(items: readonly Deadline[]): string {
  return renderTable(
    items,
    [
      ['DUE (UTC)', (one) => time(one.dueAt)],
      ['WORKFLOW', (one) => one.workflow],
      ['TASK', (one) => one.taskKey],
      ['DEADLINE', (one) => one.name],
      ['RUN', (one) => one.runId ?? (one.missed ? 'never came' : null)],
      ['STATE', (one) => state(one.state)],
      ['ENDED (UTC)', (one) => time(one.missed?.endedAt ?? null)],
      ['WHY', (one) => one.missed && printable(one.missed.detail.split('; ').at(-1) ?? '')],
    ],
    'Nothing was late.',
  );
}

/** Part of `runs`. */
export function callbacksCommand(): Command {
  return remoteCommand(
    'callbacks <run>',
    'Callbacks of a run and its tasks, and what became of them',
    async ({ api, print }, run = '') => {
      const list = await api.get<List<CallbackRecord>>(`/runs/${segment(run)}/callbacks`);
      print(list, ({ items }) =>
        renderTable(
          items,
          [
            ['CALLED (UTC)', (one) => time(one.createdAt)],
            ['CALLBACK', (one) => one.callback],
            ['STATE', (one) => state(one.state)],
            ['ATTEMPTS', (one) => String(one.attempts)],
            ['LOG OR ADDRESS', (one) => one.callbackRunId ?? one.url],
            ['ERROR', (one) => one.error && printable(one.error)],
          ],
          'No callback was called for by it.',
        ),
      );
    },
  );
}
