/** `signalbox assets check|checks|metadata|observations` */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CheckResult, MetadataPoint, Observation } from '../../../domain/asset.ts';
import { isTerminalRun, type Run } from '../../../domain/run.ts';
import type { ApiClient, List } from '../api-client.ts';
import { ExitWith } from '../exit.ts';
import { renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

const LOOK_EVERY_MS = 300;
const MAX_RESULTS = 200;

export function assetCheckCommands(): readonly Command[] {
  return [checkCommand(), checksCommand(), metadataCommand(), observationsCommand()];
}

/** Ends with 1 where a check of severity `error` did not pass, so that a pipeline can stand on it. */
function checkCommand(): Command {
  return remoteCommand<{ check?: string; wait?: boolean }>(
    'check <key>',
    'Run its checks over the stored value',
    async ({ api, options, print }, key = '') => {
      const { check, wait = true } = options;
      const body = check === undefined ? {} : { check };
      const run = await api.post<Run>(`/assets/${segment(key)}/checks`, body);
      if (!wait) {
        print(run, ({ id }) => `Run ${id} is ${state(run.state)}.`);
        return;
      }
      const ended = await endOf(api, run);
      const { items } = await api.get<List<CheckResult>>(`/assets/${segment(key)}/checks`, {
        limit: MAX_RESULTS,
      });
      const own = items.filter(({ runId }) => runId === run.id);
      print({ run: ended, checks: own }, ({ checks }) =>
        ended.state === 'succeeded'
          ? renderResults(checks)
          : `Run ${run.id} is ${state(ended.state)}: ${ended.error?.message ?? 'it has no error'}`,
      );
      const failing = own.some(({ passed, severity }) => !passed && severity === 'error');
      if (failing || ended.state !== 'succeeded') throw new ExitWith(1);
    },
  )
    .option('--check <name>', 'only this one')
    .option('--no-wait', 'do not wait for what they say');
}

async function endOf(api: ApiClient, run: Run): Promise<Run> {
  let now = run;
  while (!isTerminalRun(now.state)) {
    await delay(LOOK_EVERY_MS);
    now = await api.get<Run>(`/runs/${segment(run.id)}`);
  }
  return now;
}

function checksCommand(): Command {
  return remoteCommand<{ check?: string; limit?: number }>(
    'checks <key>',
    'What its checks said, the last first',
    async ({ api, options, print }, key = '') => {
      const { check, limit } = options;
      const list = await api.get<List<CheckResult>>(`/assets/${segment(key)}/checks`, {
        check,
        limit,
      });
      print(list, ({ items }) => renderResults(items));
    },
  )
    .option('--check <name>', 'only this one')
    .option('--limit <n>', 'at most so many', wholeNumber);
}

function renderResults(items: readonly CheckResult[]): string {
  return renderTable(
    items,
    [
      ['AT (UTC)', (one) => time(one.at)],
      ['CHECK', (one) => one.check],
      ['PASSED', (one) => one.passed],
      ['SEVERITY', (one) => one.severity],
      ['BLOCKING', (one) => one.blocking],
      ['FACTS', (one) => JSON.stringify(one.metadata)],
    ],
    'No check has run.',
  );
}

function metadataCommand(): Command {
  return remoteCommand<{ limit?: number }>(
    'metadata <key> <name>',
    'A recorded fact over time, such as rows',
    async ({ api, options, print }, key = '', name = '') => {
      const list = await api.get<List<MetadataPoint>>(`/assets/${segment(key)}/metadata`, {
        name,
        limit: options.limit,
      });
      print(list, ({ items }) =>
        renderTable(
          items,
          [
            ['DATA FROM (UTC)', (point) => time(point.at)],
            ['RECORDED (UTC)', (point) => time(point.recordedAt)],
            ['PARTITION', (point) => point.partition],
            ['VALUE', ({ entry }) => shown(entry.value)],
          ],
          `No version has recorded ${name}.`,
        ),
      );
    },
  ).option('--limit <n>', 'at most so many', wholeNumber);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function observationsCommand(): Command {
  return remoteCommand<{ limit?: number }>(
    'observations <key>',
    'What was seen of data made elsewhere',
    async ({ api, options, print }, key = '') => {
      const list = await api.get<List<Observation>>(`/assets/${segment(key)}/observations`, {
        limit: options.limit,
      });
      print(list, ({ items }) =>
        renderTable(
          items,
          [
            ['SEEN (UTC)', (one) => time(one.recordedAt)],
            ['DATA FROM (UTC)', (one) => time(one.at)],
            ['VERSION', (one) => one.dataVersion],
            ['FACTS', (one) => JSON.stringify(one.metadata)],
          ],
          'Nobody has looked at it.',
        ),
      );
    },
  ).option('--limit <n>', 'at most so many', wholeNumber);
}
