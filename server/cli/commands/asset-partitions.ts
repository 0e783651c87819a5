/** `signalbox assets materialize|partitions|impact`, and lists of dynamic partitions */
import type { Command } from 'commander';
import type {
  AssetImpact,
  AssetPartition,
  MaterializePlan,
  MaterializeReply,
  PartitionCounts,
  PartitionSelection,
} from '../../../domain/partition.ts';
import type { Run } from '../../../domain/run.ts';
import type { List } from '../api-client.ts';
import { UsageError } from '../exit.ts';
import { printable, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

interface MaterializeOptions {
  readonly downstream?: boolean;
  readonly upstream?: boolean;
  readonly partition?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly missing?: boolean;
  readonly failed?: boolean;
  readonly stale?: boolean;
  readonly single?: boolean;
  readonly dryRun?: boolean;
}

export function materializeCommand(): Command {
  return remoteCommand<MaterializeOptions>(
    'materialize <key>',
    'Compute it anew, or some of its partitions',
    async ({ api, options, print }, key = '') => {
      const { downstream = false, upstream = false, single, dryRun = false } = options;
      const partitions = selectionOf(options);
      const path = `/assets/${segment(key)}/materialize`;
      const body = {
        ...{ downstream, upstream },
        ...(partitions === null ? {} : { partitions }),
        ...(single ? { single } : {}),
      };
      if (dryRun) print(await api.post<MaterializePlan>(path, { ...body, dryRun }), renderPlan);
      else print(await api.post<Run | MaterializeReply>(path, body), renderMade);
    },
  )
    .option('--downstream', 'and everything behind it, in dependency order')
    .option('--upstream', 'and everything before it, in dependency order')
    .option('--partition <key...>', 'these partitions')
    .option('--from <key>', 'partitions from this one on (a key, a date, a moment)')
    .option('--to <key>', 'partitions up to this one')
    .option('--missing', 'partitions that should be there and are not')
    .option('--failed', 'partitions that failed')
    .option('--stale', 'partitions whose code or upstreams have changed')
    .option('--single', 'all of them in one run')
    .option('--dry-run', 'say what would be made, in which order, in how many runs');
}

const SHOWN_RUNS = 20;

function renderPlan({ assets, runs, runCount, partitionCount }: MaterializePlan): string {
  if (runCount === 0) return 'There is nothing to do.';
  const table = renderTable(
    assets,
    [
      ['ASSET', (one) => one.key],
      ['PARTITIONS', (one) => (one.partitions === null ? 'whole' : one.count)],
      ['FIRST', (one) => one.partitions?.[0]],
    ],
    '',
  );
  const shown = runs.slice(0, SHOWN_RUNS).map(({ assets: of, after }, place) => {
    const what = of.map(({ key, partitions, count: many }) =>
      partitions === null ? key : many === 1 ? `${key} ${partitions[0]}` : `${key} (${many})`,
    );
    const waits = after.length === 0 ? '' : `, after ${after.map((one) => one + 1).join(', ')}`;
    return `  ${place + 1}. ${what.map(printable).join(' → ')}${waits}`;
  });
  const more = runCount - shown.length;
  const total = `${count(runCount, 'run')} would make ${count(partitionCount, 'partition')}:`;
  return [table, '', total, ...shown, ...(more > 0 ? [`  … and ${more} more`] : [])].join('\n');
}

function selectionOf(options: MaterializeOptions): PartitionSelection | null {
  const { partition, from, to } = options;
  const words = (['missing', 'failed', 'stale'] as const).filter((word) => options[word]);
  const range = from !== undefined || to !== undefined;
  if ((partition ? 1 : 0) + (range ? 1 : 0) + words.length > 1) {
    throw new UsageError('give one of --partition, --from and --to, --missing, --failed, --stale');
  }
  if (partition) return partition;
  if (!range) return words[0] ?? null;
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

function renderMade(made: Run | MaterializeReply): string {
  if (!('runCount' in made)) return `Run ${made.id} is ${state(made.state)}.`;
  const { runs, runCount, partitionCount } = made;
  if (runCount === 0) return 'There is nothing to do.';
  const [first] = runs;
  if (runCount === 1) return `Run ${first?.id} makes ${count(partitionCount, 'partition')}.`;
  return `${runCount} runs make ${count(partitionCount, 'partition')}; the first is ${first?.id}.`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

interface PartitionOptions {
  readonly state?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly counts?: boolean;
}

export function partitionsCommand(): Command {
  return remoteCommand<PartitionOptions>(
    'partitions <key>',
    'Partitions of an asset with their states, the newest first',
    async ({ api, options, print }, key = '') => {
      const path = `/assets/${segment(key)}/partitions`;
      if (options.counts) {
        print(await api.get<PartitionCounts>(`${path}/counts`), renderCounts);
        return;
      }
      const { state: of, from, to, limit } = options;
      const list = await api.get<List<AssetPartition>>(path, { state: of, from, to, limit });
      print(list, ({ items, nextCursor }) =>
        nextCursor === null
          ? renderPartitions(items)
          : `${renderPartitions(items)}\n(there are more: --limit, --from and --to)`,
      );
    },
  )
    .option('--state <state>', 'missing, fresh, stale, failed, degraded or running')
    .option('--from <key>', 'from this one on')
    .option('--to <key>', 'up to this one')
    .option('--counts', 'only how many there are in each state')
    .option('--limit <n>', 'at most so many', wholeNumber);
}

function renderCounts(counts: PartitionCounts): string {
  const words = Object.entries(counts).filter(([word, number]) => word !== 'total' && number > 0);
  const parts = words.map(([word, number]) => `${number} ${state(word)}`);
  return `${counts.total} partitions: ${parts.length === 0 ? 'none' : parts.join(', ')}`;
}

function renderPartitions(items: readonly AssetPartition[]): string {
  return renderTable(
    items,
    [
      ['PARTITION', (one) => one.key],
      ['STATE', (one) => state(one.state)],
      ['MADE (UTC)', (one) => time(one.recordedAt)],
      ['DATA VERSION', (one) => one.dataVersion],
      ['RUN', (one) => one.runId],
      ['WHY', (one) => one.error?.message ?? one.causes[0]?.detail],
    ],
    'No partitions.',
  );
}

export function impactCommand(): Command {
  return remoteCommand<{ partition?: string }>(
    'impact <key>',
    'What suffers where it is late, wrong or gone',
    async ({ api, options, print }, key = '') => {
      const impact = await api.get<AssetImpact>(`/assets/${segment(key)}/impact`, {
        partition: options.partition,
      });
      print(impact, renderImpact);
    },
  ).option('--partition <key>', 'of this partition alone');
}

function renderImpact(impact: AssetImpact): string {
  const assets = renderTable(
    impact.assets,
    [
      ['BELOW', (one) => `${'  '.repeat(Math.max(0, one.depth - 1))}${one.key}`],
      ['CRITICAL', (one) => one.critical],
      ['PARTITIONS', (one) => one.partitions],
      ['STALE AT (UTC)', (one) => time(one.staleAt)],
      ['OWNERS', (one) => one.owners.join(', ')],
    ],
    'Nothing lies below it.',
  );
  const workflows = impact.workflows.map(
    ({ workflow, task, role, asset }) => `${workflow} (${task}) ${role} ${asset}`,
  );
  return [
    assets,
    ...(workflows.length === 0 ? [] : ['', 'Workflows:', ...workflows.map((line) => `  ${line}`)]),
    ...(impact.owners.length === 0 ? [] : ['', `Owners: ${impact.owners.join(', ')}`]),
  ].join('\n');
}

export function dynamicPartitionsCommand(): Command {
  return remoteCommand<{ add?: readonly string[]; remove?: readonly string[] }>(
    'keys <list>',
    'Keys of a list of dynamic partitions; adds or removes some',
    async ({ api, options, print }, name = '') => {
      const { add, remove } = options;
      const path = `/partitions/${segment(name)}`;
      const list =
        add || remove
          ? await api.post<{ keys: readonly string[] }>(path, {
              ...(add ? { add } : {}),
              ...(remove ? { remove } : {}),
            })
          : await api.get<{ keys: readonly string[] }>(path);
      print(list, ({ keys }) => (keys.length === 0 ? 'No keys.' : keys.join('\n')));
    },
  )
    .option('--add <key...>', 'adds these')
    .option('--remove <key...>', 'removes these');
}
