/** `signalbox runs input|inputs` and `signalbox events send` */
import { Command } from 'commander';
import type { EventReceipt, RunInput } from '../../../domain/wait.ts';
import type { List } from '../api-client.ts';
import { UsageError } from '../exit.ts';
import { printable, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment } from '../remote.ts';

interface SendOptions {
  readonly body?: string;
  readonly correlation?: string;
  readonly run?: string;
  readonly idempotencyKey?: string;
}

/** Part of `runs`. */
export function inputCommand(): Command {
  return remoteCommand<{ value: string }>(
    'input <run> <key>',
    'Give a run what it asks for',
    async ({ api, options, print }, run = '', key = '') => {
      const value = readJson('--value', options.value);
      const path = `/runs/${segment(run)}/inputs/${segment(key)}`;
      print(await api.post<RunInput>(path, { value }), (input) => `${input.key} was given.`);
    },
  ).requiredOption('--value <json>', 'what it is given: \'{"approved":true}\'');
}

/** Part of `runs`. */
export function inputsCommand(): Command {
  return remoteCommand(
    'inputs [run]',
    'What a run, or any run, asks people',
    async ({ api, print }, run?: string) => {
      const path = run === undefined ? '/inputs' : `/runs/${segment(run)}/inputs`;
      print(await api.get<List<RunInput>>(path), ({ items }) =>
        renderTable(
          items,
          [
            ['RUN', (input) => input.runId],
            ['KEY', (input) => input.key],
            ['STATE', (input) => state(input.state)],
            ['ASKS', (input) => input.message && printable(input.message)],
            ['UNTIL (UTC)', (input) => time(input.deadline)],
            ['ANSWERED BY', (input) => input.answeredBy],
          ],
          'Nobody is asked for anything.',
        ),
      );
    },
  );
}

export function eventsCommand(): Command {
  return new Command('events').description('Events that flows wait for').addCommand(
    remoteCommand<SendOptions>(
      'send <name>',
      'Send an event to runs that wait for it, now or later',
      async ({ api, options, print }, name = '') => {
        const { body, correlation, run, idempotencyKey } = options;
        if (run !== undefined && correlation !== undefined) {
          throw new UsageError('--run names the one run that it is for; leave out --correlation');
        }
        const event = {
          ...(body === undefined ? {} : { body: readJson('--body', body) }),
          ...(correlation === undefined ? {} : { correlation }),
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        };
        const receipt =
          run === undefined
            ? await api.post<EventReceipt>(`/events/${segment(name)}`, event)
            : await api.post<EventReceipt>(`/runs/${segment(run)}/events`, { name, ...event });
        print(receipt, renderReceipt);
      },
    )
      .option('--body <json>')
      .option('--correlation <text>', 'only for runs that wait with the same text')
      .option('--run <id>', 'only for this run')
      .option('--idempotency-key <key>', 'the same key is the same event'),
  );
}

function renderReceipt({ id, created, woke }: EventReceipt): string {
  if (!created) return `Event ${id} had been sent under this key.`;
  if (woke.length === 0) return `Event ${id} is kept for runs that come to wait for it.`;
  return `Event ${id} lets ${woke.length === 1 ? `run ${woke[0]}` : `${woke.length} runs`} go on.`;
}

function readJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${option} is not JSON: ${(error as Error).message}`);
  }
}
