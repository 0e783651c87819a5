/** `signalbox backfill WORKFLOW --from --to` and `backfill list|show|cancel|pause|resume` */
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import type { Backfill, BackfillItem, BackfillPlan } from '../../../domain/backfill.ts';
import { progressBar } from '../../progress-bar.ts';
import type { ApiClient, List } from '../api-client.ts';
import { ExitWith, UsageError } from '../exit.ts';
import { printable, renderFields, renderTable, span, state, time } from '../output.ts';
import { remoteCommand, segment, signedNumber, wholeNumber } from '../remote.ts';

interface StartOptions {
  readonly from: string;
  readonly to: string;
  readonly order?: string;
  readonly concurrency?: number;
  readonly rerun?: string;
  readonly parameters?: string;
  readonly priority?: number;
  readonly every?: string;
  readonly timezone?: string;
  readonly idempotencyKey?: string;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
}

const LOOK_EVERY_MS = 500;
const ITEMS_PAGE = 1_000;
const SHOWN_ITEMS = 40;
const START_LIMIT_MS = 60_000;

export function backfillCommand(): Command {
  return new Command('backfill')
    .description('Run a workflow for the intervals of a range')
    .usage('<workflow> --from <time> --to <time> [options] | list | show | cancel | pause | resume')
    .addCommand(startCommand(), { isDefault: true })
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(changeCommand('cancel', 'Cancel what runs and what is to come'))
    .addCommand(changeCommand('pause', 'Start nothing more; what runs goes on'))
    .addCommand(
      changeCommand('resume', 'Go on, also with what failed or was cancelled').option(
        '--wait',
        'wait for its end',
      ),
    );
}

function startCommand(): Command {
  return remoteCommand<StartOptions>(
    'start <workflow>',
    'Start a backfill (the word "start" may be left out)',
    async (remote, workflow = '') => {
      const { api, options, print } = remote;
      const path = `/workflows/${segment(workflow)}/backfills`;
      const body = bodyOf(options);
      if (options.dryRun) {
        const plan = await api.post<BackfillPlan>(path, { ...body, dryRun: true }, START_LIMIT_MS);
        print(plan, renderPlan);
        return;
      }
      const backfill = await api.post<Backfill>(path, body, START_LIMIT_MS);
      if (!options.wait) {
        print(backfill, renderStarted);
        return;
      }
      await waitAndReport(remote, backfill);
    },
  )
    .requiredOption(
      '--from <time>',
      'date, local time or RFC 3339: the first interval starts then or later',
    )
    .requiredOption(
      '--to <time>',
      'the last interval starts before it; a date includes its whole day',
    )
    .option('--order <order>', 'oldest-first (unless told) or newest-first')
    .option('--concurrency <n>', 'runs at a time, 4 unless told', wholeNumber)
    .option('--rerun <which>', 'missing (unless told), failed or all: intervals that run again')
    .option('--parameters <json>', 'parameters of each run as a JSON object: \'{"n":5}\'')
    .option('--priority <n>', 'higher goes first, -10 unless told', signedNumber)
    .option(
      '--every <duration>',
      'length of the intervals of a workflow without a schedule, 1d unless told',
    )
    .option('--timezone <name>', 'of dates for a workflow without a schedule, UTC unless told')
    .option('--idempotency-key <key>', 'the same key gives the first backfill again')
    .option('--dry-run', 'only show what it would do')
    .option('--wait', 'wait for its end');
}

function bodyOf(options: StartOptions): Record<string, unknown> {
  const { from, to, order, concurrency, rerun, parameters, priority } = options;
  const { every, timezone, idempotencyKey } = options;
  const given = { from, to, order, concurrency, rerun, priority, every, timezone, idempotencyKey };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(parameters === undefined ? {} : { parameters: readParameters(parameters) }),
  };
}

function readParameters(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--parameters is not JSON: ${(error as Error).message}`);
  }
}

function listCommand(): Command {
  return remoteCommand<{ workflow?: string; state?: string; limit?: number }>(
    'list',
    'Backfills, newest first',
    async ({ api, options, print }) => {
      const { workflow, state: wanted, limit = 20 } = options;
      const query = { workflow, state: wanted, limit };
      print(await api.get<List<Backfill>>('/backfills', query), ({ items }) =>
        renderTable(
          items,
          [
            ['BACKFILL', (item) => item.id],
            ['WORKFLOW', (item) => item.workflow],
            ['STATE', (item) => state(item.state)],
            ['FROM (UTC)', (item) => time(item.from)],
            ['TO (UTC)', (item) => time(item.to)],
            ['DONE', (item) => `${doneOf(item)}/${item.total}`],
            ['FAILED', (item) => item.counts.failed],
          ],
          'No backfills. Start one: signalbox backfill WORKFLOW --from 2026-01-01 --to 2026-01-31',
        ),
      );
    },
  )
    .option('--workflow <name>')
    .option('--state <state>')
    .option('--limit <n>', 'at most so many, 20 unless told', wholeNumber);
}

function showCommand(): Command {
  return remoteCommand('show <id>', 'One backfill with its intervals', async (remote, id = '') => {
    const { api, print } = remote;
    const backfill = await api.get<Backfill>(`/backfills/${segment(id)}`);
    const items = await allItems(api, id);
    print({ ...backfill, items }, () => `${renderBackfill(backfill)}\n\n${renderItems(items)}`);
  });
}

function changeCommand(verb: 'cancel' | 'pause' | 'resume', description: string): Command {
  return remoteCommand<{ wait?: boolean }>(`${verb} <id>`, description, async (remote, id = '') => {
    const backfill = await remote.api.post<Backfill>(`/backfills/${segment(id)}/${verb}`);
    if (remote.options.wait) await waitAndReport(remote, backfill);
    else remote.print(backfill, ({ state: now }) => `Backfill ${backfill.id} is ${state(now)}.`);
  });
}

async function allItems(api: ApiClient, id: string): Promise<readonly BackfillItem[]> {
  const items: BackfillItem[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: ITEMS_PAGE, cursor };
    const page = await api.get<List<BackfillItem>>(`/backfills/${segment(id)}/items`, query);
    items.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return items;
}

/** Ends with 1 where the backfill did not succeed. A bar shows only on a terminal. */
async function waitAndReport(
  remote: {
    readonly api: ApiClient;
    readonly options: { readonly json?: boolean };
    print<T>(value: T, render: (value: T) => string): void;
  },
  started: Backfill,
): Promise<void> {
  const { api, options, print } = remote;
  const bar = progressBar(process.stderr, options.json === true);
  const draw = (now: Backfill) => {
    const { running, failed } = now.counts;
    const told = `${running} running${failed > 0 ? `  ${failed} failed` : ''}`;
    bar.show(doneOf(now), now.total, told);
  };
  let backfill = started;
  draw(backfill);
  while (backfill.finishedAt === null && backfill.state !== 'paused') {
    await delay(LOOK_EVERY_MS);
    backfill = await api.get<Backfill>(`/backfills/${segment(started.id)}`);
    draw(backfill);
  }
  bar.clear();
  print(backfill, renderBackfill);
  if (backfill.state !== 'succeeded') throw new ExitWith(1);
}

function doneOf({ counts }: Backfill): number {
  return counts.succeeded + counts.failed + counts.cancelled + counts.skipped;
}

function renderStarted(backfill: Backfill): string {
  const { id, counts, concurrency, total } = backfill;
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} of them are there already` : '';
  return `Backfill ${id}: ${total} intervals${skipped}, ${concurrency} at a time. Follow it: signalbox backfill show ${id}`;
}

function renderBackfill(backfill: Backfill): string {
  const counts = Object.entries(backfill.counts).filter(([, count]) => count > 0);
  return renderFields([
    ['backfill', backfill.id],
    ['workflow', backfill.workflow],
    ['state', state(backfill.state)],
    ['from (UTC)', time(backfill.from)],
    ['to (UTC)', `${time(backfill.to)}, exclusive`],
    ['order', `${backfill.order}, ${backfill.concurrency} at a time, rerun ${backfill.rerun}`],
    ['intervals', counts.map(([word, count]) => `${count} ${word}`).join(', ')],
    ['took', span(backfill.createdAt, backfill.finishedAt)],
    ['started by', backfill.createdBy],
    ['error', backfill.error && printable(backfill.error)],
  ]);
}

function renderItems(items: readonly BackfillItem[]): string {
  return renderTable(
    items,
    [
      ['INTERVAL (UTC)', (item) => shownInterval(item)],
      ['STATE', (item) => state(item.state)],
      ['RUN', (item) => item.runId],
    ],
    'No intervals',
  );
}

function renderPlan(plan: BackfillPlan): string {
  const shown = plan.items.slice(0, SHOWN_ITEMS);
  const table = renderTable(
    shown,
    [
      ['INTERVAL (UTC)', (item) => shownInterval(item)],
      ['WOULD', (item) => item.action],
      ['THERE IS', (item) => item.existing && `${item.existing.state} ${item.existing.runId}`],
    ],
    'No intervals',
  );
  const more = plan.items.length - shown.length;
  const left = plan.notOver > 0 ? `, ${plan.notOver} not over yet` : '';
  return [
    `${plan.workflow}: ${plan.toRun} to run, ${plan.toSkip} to skip${left}; nothing was started.`,
    '',
    table,
    ...(more > 0 ? [`… and ${more} more (all with --json)`] : []),
  ].join('\n');
}

function shownInterval(item: Pick<BackfillItem, 'key' | 'dataInterval'>): string {
  const { dataInterval } = item;
  return dataInterval === null
    ? item.key
    : `${time(dataInterval.start)} … ${time(dataInterval.end)}`;
}
