/** `signalbox pools list|set`, `queues list|set`, `agents list` */
import { Command, InvalidArgumentError } from 'commander';
import type { Agent } from '../../../domain/agent.ts';
import { environmentOf, plainName } from '../../../domain/environment.ts';
import { type Pool, uncreatedPoolNotice } from '../../../domain/pool.ts';
import type { QueueSummary } from '../../../orchestrator/service.ts';
import type { List } from '../api-client.ts';
import { UsageError } from '../exit.ts';
import { printable, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, signedNumber, wholeNumber } from '../remote.ts';

export function poolsCommand(): Command {
  return new Command('pools')
    .description('Pools of task slots and of connections')
    .addCommand(
      remoteCommand('list', 'All pools', async ({ api, print }) => {
        print(await api.get<List<Pool>>('/pools', { limit: 1_000 }), ({ items }) =>
          renderPools(items),
        );
      }),
    )
    .addCommand(
      remoteCommand<{ max: number }>(
        'set <name>',
        'Create a pool of slots, or set a ceiling',
        async (remote, name = '') => {
          const pool = await remote.api.put<Pool>(`/pools/${segment(name)}`, {
            max: remote.options.max,
          });
          remote.print(pool, () => renderPools([pool]));
        },
      ).requiredOption('--max <n>', 'slots or connections', wholeNumber),
    );
}

function renderPools(items: readonly Pool[]): string {
  const notices = poolNotices(items).map((notice) => `\n${printable(notice)}`);
  return [tableOf(items), ...notices].join('\n');
}

/** What is told of pools that tasks name and nobody created. */
export function poolNotices(items: readonly Pool[]): readonly string[] {
  return items
    .filter(({ created }) => created === false)
    .map(({ name, namedBy = [] }) =>
      uncreatedPoolNotice(plainName(name), namedBy, environmentOf(name)),
    );
}

function maxOf({ created, namedBy = [], max }: Pool): string | number | null {
  if (created !== false) return max;
  return `unlimited: named by ${namedBy.join(', ')}, not created`;
}

function tableOf(items: readonly Pool[]): string {
  return renderTable(
    items,
    [
      ['POOL', (pool) => pool.name],
      ['KIND', (pool) => pool.kind],
      ['USED', (pool) => pool.used],
      ['IDLE', (pool) => pool.idle],
      ['WAITING', (pool) => pool.waiting],
      ['MAX', maxOf],
    ],
    'No pools. Make one: signalbox pools set NAME --max 10',
  );
}

interface QueueOptions {
  readonly pause?: boolean;
  readonly unpause?: boolean;
  readonly resume?: boolean;
  readonly all?: boolean;
  readonly concurrency?: number | null;
  readonly rate?: QueueSummary['rateLimit'];
  readonly priority?: number;
}

export function queuesCommand(): Command {
  return new Command('queues')
    .description('Queues of tasks')
    .addCommand(
      remoteCommand('list', 'All queues', async ({ api, print }) => {
        print(await api.get<List<QueueSummary>>('/queues', { limit: 1_000 }), ({ items }) =>
          renderQueues(items),
        );
      }),
    )
    .addCommand(setQueueCommand());
}

function setQueueCommand(): Command {
  return remoteCommand<QueueOptions>(
    'set [name]',
    'Pause a queue, limit it, or put it before others',
    async (remote, given) => {
      const { pause, all, concurrency, rate, priority } = remote.options;
      const unpause = remote.options.unpause || remote.options.resume;
      if (pause && unpause) throw new UsageError('Give --pause or --resume, not both.');
      if ((given === undefined) !== (all === true)) {
        throw new UsageError('Give the name of a queue, or --all for all of them together.');
      }
      const name = given ?? ALL_QUEUES;
      const queue = await remote.api.put<QueueSummary>(`/queues/${segment(name)}`, {
        ...(pause || unpause ? { paused: pause === true } : {}),
        ...(concurrency === undefined ? {} : { concurrency }),
        ...(rate === undefined ? {} : { rateLimit: rate }),
        ...(priority === undefined ? {} : { priority }),
      });
      remote.print(queue, () => renderQueues([queue]));
    },
  )
    .option('--pause', 'hand out no more tasks')
    .option('--resume', 'hand out tasks again')
    .option('--unpause', 'the same as --resume')
    .option('--all', 'all queues together: how much runs in all')
    .option('--rate <count/per>', 'tasks that may start in a time, as 100/1m, or "none"', readRate)
    .option('--priority <n>', 'agents take from the queue with the highest first', signedNumber)
    .option('--concurrency <n>', 'tasks at a time, or "none"', (text) =>
      text === 'none' ? null : wholeNumber(text),
    );
}

const ALL_QUEUES = '*';
const RATE = /^(\d+)\/(\S+)$/;

function readRate(text: string): QueueSummary['rateLimit'] {
  if (text === 'none') return null;
  const [, count, per] = RATE.exec(text) ?? [];
  if (count !== undefined && per !== undefined) return { count: Number(count), per };
  throw new InvalidArgumentError('Give COUNT/TIME, such as 100/1m, or none.');
}

function renderQueues(items: readonly QueueSummary[]): string {
  return renderTable(
    items,
    [
      ['QUEUE', (queue) => queue.name],
      ['STATE', (queue) => (queue.paused ? 'paused' : 'open')],
      ['READY', (queue) => queue.ready],
      ['WAITING', (queue) => queue.waiting ?? 0],
      ['SINCE (UTC)', (queue) => time(queue.waitingSince ?? null)],
      ['RUNNING', (queue) => queue.running],
      ['CONCURRENCY', (queue) => queue.concurrency ?? 'unlimited'],
      ['RATE', ({ rateLimit }) => (rateLimit ? `${rateLimit.count}/${rateLimit.per}` : '')],
      ['PRIORITY', (queue) => queue.priority ?? 0],
    ],
    'No queues yet: they come with the first task.',
  );
}

export function agentsCommand(): Command {
  return new Command('agents').description('Agents, which execute tasks').addCommand(
    remoteCommand('list', 'All agents', async ({ api, print }) => {
      print(await api.get<List<Agent>>('/agents', { limit: 1_000 }), ({ items }) =>
        renderTable(
          items,
          [
            ['AGENT', (agent) => agent.name],
            ['STATE', (agent) => state(agent.state)],
            ['RUNNING', (agent) => `${agent.running} of ${agent.concurrency}`],
            ['QUEUES', (agent) => agent.queues.join(', ')],
            [
              'LABELS',
              ({ labels = {} }) =>
                Object.entries(labels)
                  .map(([name, value]) => `${name}=${value}`)
                  .join(', '),
            ],
            ['LAST HEARTBEAT (UTC)', (agent) => time(agent.lastHeartbeatAt)],
          ],
          'No agents. Start one: signalbox agent --url URL --token TOKEN --workflows DIR',
        ),
      );
    }),
  );
}
