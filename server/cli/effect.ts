/** Actions whose effect is shown before they are done: the plan, the question on a terminal, and what was done. */
import { createInterface } from 'node:readline/promises';
import type { Effect, EffectCounts, MarkedVersion } from '../../domain/run-control.ts';
import type { ApiClient } from './api-client.ts';
import { ExitWith, UsageError } from './exit.ts';
import { printable, renderTable, state } from './output.ts';
import type { Remote } from './remote.ts';

/** Options of every action with an effect. */
export interface EffectOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly reason?: string;
}

/** Calls for one action on many runs; each changes up to 1,000. */
const MAX_CALLS = 100;
const CALL_LIMIT_MS = 120_000;
const SHOWN_TASKS = 40;
const SHOWN_NAMES = 12;

/** What came of showing an effect: go on, or it was shown and that is all. */
type Proposed = 'asked' | 'not-asked' | 'over';

/**
 * Shows the effect with `--dry-run`, and before it is done on a terminal, where it asks; `--yes` and `--json` do not
 * ask.
 * @throws ExitWith 1 where the answer was no
 */
export async function propose(
  { api, options, print }: Remote<EffectOptions>,
  path: string,
  body: object,
): Promise<Proposed> {
  if (options.dryRun) {
    print(await callAll(api, path, { ...body, dryRun: true }), renderEffect);
    return 'over';
  }
  const asks = !options.yes && !options.json && process.stdin.isTTY && process.stdout.isTTY;
  if (!asks) return 'not-asked';
  const shown = await callAll(api, path, { ...body, dryRun: true });
  console.log(renderEffect(shown));
  if (shown.counts.runs === 0) return 'over';
  if (!(await confirm())) throw new ExitWith(1);
  return 'asked';
}

/** Proposes an action, does it, and tells what was done. */
export async function withEffect(
  remote: Remote<EffectOptions>,
  path: string,
  body: object,
): Promise<void> {
  const proposed = await propose(remote, path, body);
  if (proposed === 'over') return;
  remote.print(await callAll(remote.api, path, body), (effect) =>
    proposed === 'asked' ? summaryOf(effect) : renderEffect(effect),
  );
}

async function confirm(): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('\nDo it? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}

/** All pages of an action, as one effect. */
async function callAll(api: ApiClient, path: string, body: object): Promise<Effect> {
  let whole = await api.post<Effect>(path, body, CALL_LIMIT_MS);
  for (let calls = 1; whole.nextCursor !== null; calls += 1) {
    if (calls >= MAX_CALLS) {
      throw new UsageError(`these are more than ${MAX_CALLS} calls’ worth of runs: name fewer`);
    }
    const next = await api.post<Effect>(path, { ...body, cursor: whole.nextCursor }, CALL_LIMIT_MS);
    whole = join(whole, next);
  }
  return whole;
}

function join(a: Effect, b: Effect): Effect {
  const counts = Object.fromEntries(
    Object.entries(a.counts).map(([name, count]) => [
      name,
      count + b.counts[name as keyof EffectCounts],
    ]),
  ) as unknown as EffectCounts;
  return {
    ...b,
    counts,
    runs: [...a.runs, ...b.runs],
    refused: [...a.refused, ...b.refused],
    downstream: {
      tasks: [...a.downstream.tasks, ...b.downstream.tasks],
      childRuns: [...a.downstream.childRuns, ...b.downstream.childRuns],
      assets: [
        ...new Map(
          [...a.downstream.assets, ...b.downstream.assets].map((one) => [one.key, one]),
        ).values(),
      ],
    },
  };
}

/** The effect as lines: what changes, what lies behind it, what was left alone. */
function renderEffect(effect: Effect): string {
  const rows = effect.runs.flatMap((run) =>
    run.tasks.map((task) => ({ ...task, run: run.runId, date: run.logicalDate })),
  );
  const many = effect.runs.length > 1;
  const table = renderTable(
    rows.slice(0, SHOWN_TASKS),
    [
      ...(many ? [['RUN', (row: (typeof rows)[number]) => row.run] as const] : []),
      ['TASK', (row) => row.key],
      ['IS', (row) => state(row.from)],
      ['BECOMES', (row) => state(row.to)],
      ['WHY', (row) => `${row.reason}${row.stopped ? ', stopped' : ''}`],
    ],
    '',
  );
  const more = effect.counts.tasks - Math.min(rows.length, SHOWN_TASKS);
  return [
    ...effect.runs.slice(0, many ? 0 : 1).map((run) => {
      const to = run.from === run.to ? '' : ` → ${state(run.to)}`;
      return `Run ${run.runId} (${printable(run.workflow)}): ${state(run.from)}${to}`;
    }),
    ...(table === '' ? [] : [table]),
    ...(more > 0 ? [`… and ${more} tasks more`] : []),
    ...behindLines(effect),
    ...effect.refused.map(({ runId, reason }) => `Left alone: ${runId}: ${printable(reason)}`),
    summaryOf(effect),
  ].join('\n');
}

function behindLines({ downstream, counts, runs }: Effect): string[] {
  const steps = runs.flatMap(({ stepsForgotten }) => stepsForgotten);
  const versions = runs.flatMap((run) => run.versions ?? []);
  const line = (words: string, names: readonly string[], count: number) =>
    count === 0 ? [] : [`${words}: ${named(names, count)}`];
  return [
    ...line('Steps forgotten', steps, counts.stepsForgotten),
    ...line('Versions recorded', versions.map(versionOf), versions.length),
    ...line(
      'Behind them, unchanged',
      downstream.tasks.map(({ key }) => key),
      counts.downstreamTasks,
    ),
    ...line(
      'Child runs',
      downstream.childRuns.map(({ id, workflow, state: word }) => `${workflow} ${id} ${word}`),
      counts.childRuns,
    ),
    ...line(
      'Assets',
      downstream.assets.map(({ key, owners }) =>
        owners.length === 0 ? key : `${key} (${owners.join(', ')})`,
      ),
      counts.assets,
    ),
  ];
}

function named(names: readonly string[], count: number): string {
  const shown = names.slice(0, SHOWN_NAMES).map(printable);
  return count > shown.length
    ? `${shown.join(', ')} and ${count - shown.length} more`
    : shown.join(', ');
}

const DONE: Readonly<Record<Effect['action'], string>> = {
  clear: 'cleared',
  mark: 'marked',
  cancel: 'cancelled',
  pause: 'paused',
  resume: 'resumed',
  retry: 'running again',
};

function summaryOf({ action, dryRun, counts }: Effect): string {
  if (counts.runs === 0) return dryRun ? 'Nothing would change.' : 'Nothing changed.';
  const parts = [
    `${count(counts.runs, 'run')} ${dryRun ? 'would be ' : ''}${DONE[action]}`,
    ...(counts.tasks > 0 ? [`${count(counts.tasks, 'task')} changed`] : []),
    ...(counts.rerun > 0 ? [`${counts.rerun} to run again`] : []),
    ...(counts.stopped > 0 ? [`${counts.stopped} stopped`] : []),
    ...(counts.refused > 0 ? [`${count(counts.refused, 'run')} left alone`] : []),
  ];
  return `${parts.join(', ')}.`;
}

function count(of: number, what: string): string {
  return `${of} ${what}${of === 1 ? '' : 's'}`;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const DAY_MS = 86_400_000;

/** The start of a span: a date is its midnight in UTC. */
export function spanStart(text: string): string {
  return DATE.test(text) ? `${text}T00:00:00Z` : text;
}

/** The end of a span: a date includes its whole day. */
export function spanEnd(text: string): string {
  if (!DATE.test(text)) return text;
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(at) ? text : new Date(at + DAY_MS).toISOString();
}

/** An asset with its partition, or how many of them. */
function versionOf({ asset, partitions, count }: MarkedVersion): string {
  if (partitions === null) return asset;
  return count === 1 ? `${asset} ${partitions[0]}` : `${asset} (${count} partitions)`;
}
