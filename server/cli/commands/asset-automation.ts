/** `signalbox assets automation`: why an asset is made or not, what was found before, pausing it. */
import type { Command } from 'commander';
import type {
  AssetAutomation,
  AutomationEvaluation,
  AutomationPause,
  ConditionResult,
} from '../../../domain/automation.ts';
import type { List } from '../api-client.ts';
import { colors } from '../colors.ts';
import { UsageError } from '../exit.ts';
import { printable, renderFields, renderTable, state, time } from '../output.ts';
import { type Remote, remoteCommand, segment, wholeNumber } from '../remote.ts';

interface Options {
  readonly history?: boolean;
  readonly partition?: string;
  readonly limit?: number;
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly all?: boolean;
}

/** Partitions of which the tree is shown. */
const SHOWN_TREES = 5;

export function automationCommand(): Command {
  return remoteCommand<Options>(
    'automation [key]',
    'Why its automation makes an asset, or does not; pauses and resumes it',
    async (remote, key) => {
      const { pause, resume, all, history } = remote.options;
      if (pause && resume) throw new UsageError('give one of --pause and --resume');
      if (all || key === undefined) return ofAll(remote, key);
      if (history) return showHistory(remote, key);
      const { api, print } = remote;
      const path = `/assets/${segment(key)}/automation`;
      const verb = pause ? 'pause' : resume ? 'resume' : null;
      const found =
        verb === null
          ? await api.get<AssetAutomation>(path)
          : await api.post<AssetAutomation>(`${path}/${verb}`);
      const { partition } = remote.options;
      const shown = found.current.filter((one) => one.partition === partition);
      print(partition === undefined ? found : { ...found, current: shown }, renderAutomation);
    },
  )
    .option('--history', 'looks that found something new, the latest first')
    .option('--partition <key>', 'only this partition')
    .option('--limit <n>', 'at most so many', wholeNumber)
    .option('--pause', 'asks for nothing until it is resumed')
    .option('--resume', 'goes on')
    .option('--all', 'with --pause or --resume: all automation');
}

async function ofAll({ api, options, print }: Remote<Options>, key?: string): Promise<void> {
  const { pause, resume, all } = options;
  if (key !== undefined) throw new UsageError('name an asset, or give --all');
  if (!all) throw new UsageError('name an asset, or give --all with --pause or --resume');
  const found =
    pause || resume
      ? await api.post<{ pause: AutomationPause | null }>(
          `/automation/${pause ? 'pause' : 'resume'}`,
        )
      : await api.get<{ pause: AutomationPause | null }>('/automation');
  print(found, ({ pause: paused }) =>
    paused
      ? `All automation is paused since ${time(paused.at)} by ${printable(paused.by)}.`
      : 'Automation is not paused as a whole.',
  );
}

async function showHistory({ api, options, print }: Remote<Options>, key: string): Promise<void> {
  const list = await api.get<List<AutomationEvaluation>>(
    `/assets/${segment(key)}/automation/evaluations`,
    { partition: options.partition, limit: options.limit },
  );
  print(list, ({ items }) =>
    renderTable(
      items,
      [
        ['SINCE (UTC)', (one) => time(one.at)],
        ...(items.some(({ partition }) => partition !== null)
          ? [['PARTITION', (one: AutomationEvaluation) => one.partition] as const]
          : []),
        ['DECISION', (one) => state(one.decision)],
        ['WHY', (one) => one.reason.message],
        ['RUN', (one) => one.runId],
      ],
      'Nobody has looked at it yet.',
    ),
  );
}

function renderAutomation(of: AssetAutomation): string {
  const fields = renderFields([
    ['asset', of.assetKey],
    ['automation', of.text],
    ['state', state(of.state === 'error' ? 'failed' : of.state)],
    ['', of.summary],
    ['held back', heldWords(of)],
    ['paused', of.pause && pauseWords(of.pause)],
    ['next tick', of.nextTickAt && time(of.nextTickAt)],
    ['last request', requestWords(of)],
    ['looked at', time(of.evaluatedAt)],
    ['error', of.error],
  ]);
  const trees = of.current.slice(0, SHOWN_TREES).map(renderEvaluation);
  const more = of.current.length - SHOWN_TREES;
  return [
    fields,
    ...trees,
    ...(more > 0 ? [`… and ${more} more: --history --partition KEY shows one`] : []),
  ].join('\n\n');
}

function heldWords({ heldSince, held, overdue }: AssetAutomation): string | null {
  if (heldSince === null) return null;
  const partitions = held > 1 ? `, ${held} partitions` : '';
  return `since ${time(heldSince)}${partitions}${overdue ? colors.red(' (longer than it may be)') : ''}`;
}

function pauseWords({ at, by, all }: AutomationPause): string {
  return `since ${time(at)} by ${printable(by)}${all ? ' (all automation)' : ''}`;
}

function requestWords({ lastRequest }: AssetAutomation): string | null {
  if (lastRequest === null) return null;
  const { at, runId, partition } = lastRequest;
  return `${time(at)}, run ${runId}${partition === null ? '' : `, partition ${printable(partition)}`}`;
}

/** `✓` and `✗` with what each node found, indented by its place in the condition. */
function renderEvaluation(of: AutomationEvaluation): string {
  const what = of.partition === null ? '' : `${printable(of.partition)}: `;
  return [
    `${what}${state(of.decision)} since ${time(of.at)}: ${printable(of.reason.message)}`,
    ...(of.condition === null ? [] : treeLines(of.condition, 1)),
    ...of.gates.filter(({ met }) => !met).flatMap((gate) => treeLines(gate, 1)),
  ].join('\n');
}

function treeLines(node: ConditionResult, depth: number): readonly string[] {
  const mark = node.met ? colors.green('✓') : colors.red('✗');
  const detail = node.detail === null ? '' : colors.dim(` – ${printable(node.detail)}`);
  return [
    `${'  '.repeat(depth)}${mark} ${printable(node.label)}${detail}`,
    ...(node.of ?? []).flatMap((one) => treeLines(one, depth + 1)),
  ];
}
