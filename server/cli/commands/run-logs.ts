/** `signalbox runs logs` */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { ShownLogLine } from '../../../domain/agent-protocol.ts';
import { isTerminalRun, type Run } from '../../../domain/run.ts';
import type { ApiClient, List } from '../api-client.ts';
import { printable } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

interface Options {
  readonly follow?: boolean;
  readonly task?: string;
  readonly attempt?: number;
  readonly level?: string;
  readonly search?: string;
  readonly tail?: number;
}

const FOLLOW_EVERY_MS = 500;
const PAGE = 1_000;
/** Lines of one run come over several agents, and a little late: what is younger is read once more. */
const SETTLED_AFTER_MS = 2_000;

export function logsCommand(): Command {
  return remoteCommand<Options>(
    'logs <id>',
    'What a run logged',
    async ({ api, options, print }, id = '') => {
      const path = `/runs/${segment(id)}`;
      const { task, attempt, level, search, tail } = options;
      const filter = { task, attempt, level, search };
      const show = (line: ShownLogLine) => print(line, renderLine);
      if (tail !== undefined) {
        const query = { ...filter, limit: tail, order: 'newest' };
        const { items } = await api.get<List<ShownLogLine>>(`${path}/logs`, query);
        for (const line of items.toReversed()) show(line);
        return;
      }
      const read = logReader(api, path, filter);
      for (let over = false; !over; ) {
        // Asked before the lines are read: what was logged until the end is then among them.
        over = !options.follow || isTerminalRun((await api.get<Run>(path)).state);
        await read(show);
        if (!over) await delay(FOLLOW_EVERY_MS);
      }
    },
  )
    .option('-f, --follow', 'go on until the run has ended')
    .option('--task <key>', 'only this task')
    .option('--attempt <n>', 'only this attempt', wholeNumber)
    .addOption(
      new Option('--level <level>', 'this level and what is worse').choices([
        ...['debug', 'info', 'warn', 'error'],
      ]),
    )
    .option('--search <text>', 'only lines that hold this text')
    .option('--tail <n>', 'only the last lines', wholeNumber);
}

/** Reads what was not read before. What has not settled is read again each time, and told apart by its cursors. */
function logReader(
  api: ApiClient,
  path: string,
  filter: Readonly<Record<string, string | number | undefined>>,
) {
  let settled: string | undefined;
  let open: { readonly cursor: string; readonly at: number }[] = [];
  return async (show: (line: ShownLogLine) => void): Promise<void> => {
    const seen = new Set(open.map(({ cursor }) => cursor));
    open = [];
    for (let cursor = settled; ; ) {
      const page = await api.get<List<ShownLogLine>>(`${path}/logs`, {
        ...filter,
        ...{ limit: PAGE, cursor },
      });
      for (const line of page.items) {
        open.push({ cursor: line.cursor ?? '', at: Date.parse(line.at) });
        if (!seen.has(line.cursor ?? '')) show(line);
      }
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    const newest = open.at(-1)?.at ?? 0;
    const last = open.findLastIndex(({ at }) => at < newest - SETTLED_AFTER_MS);
    settled = open[last]?.cursor ?? settled;
    open = open.slice(last + 1);
  };
}

function renderLine(line: ShownLogLine): string {
  const at = line.at.slice(11, 23);
  const attributes =
    Object.keys(line.attributes).length > 0 ? ` ${JSON.stringify(line.attributes)}` : '';
  const attempt = line.attempt > 1 ? ` #${line.attempt}` : '';
  return `${at} ${line.level.padEnd(5)} ${printable(`${line.taskKey}${attempt}  ${line.message}${attributes}`)}`;
}
