/** `signalbox workflows next|expected`, and a schedule in words. */
import type { Command } from 'commander';
import type {
  DstPolicies,
  ExpectedRun,
  SchedulePreview,
  WorkflowSchedule,
} from '../../../domain/schedule.ts';
import { formatDuration } from '../../../domain/time.ts';
import type { List } from '../api-client.ts';
import { renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

export function nextCommand(): Command {
  return remoteCommand<{ count?: number }>(
    'next <name>',
    'The next runs of its schedule, in its timezone and in UTC',
    async ({ api, options, print }, name = '') => {
      const preview = await api.get<SchedulePreview>(`/workflows/${segment(name)}/schedule`, {
        count: options.count,
      });
      print(preview, renderPreview);
    },
  ).option('--count <n>', 'so many', wholeNumber);
}

function renderPreview({ workflow, paused, schedule, upcoming }: SchedulePreview): string {
  if (schedule === null) return `${workflow} has no schedule.`;
  const table = renderTable(
    upcoming,
    [
      [`AT (${schedule.timezone})`, (run) => run.local],
      ['STARTS (UTC)', (run) => time(run.dueAt)],
      ['LOGICAL DATE (UTC)', (run) => time(run.logicalDate)],
    ],
    'No run is left in this schedule.',
  );
  const note = paused ? '\n\nThe workflow is paused: none of these starts until it is not.' : '';
  return `${workflow}: ${scheduleText(schedule)}\n\n${table}${note}`;
}

export function expectedCommand(): Command {
  return remoteCommand<{ outcome?: string; limit?: number }>(
    'expected <name>',
    'What became of the runs that its schedule called for',
    async ({ api, options, print }, name = '') => {
      const list = await api.get<List<ExpectedRun>>(`/workflows/${segment(name)}/expected-runs`, {
        outcome: options.outcome,
        limit: options.limit,
      });
      print(list, ({ items }) => renderExpected(items));
    },
  )
    .option('--outcome <outcome>', 'run, skipped, dropped or missed')
    .option('--limit <n>', 'at most so many', wholeNumber);
}

function renderExpected(items: readonly ExpectedRun[]): string {
  return renderTable(
    items,
    [
      ['LOGICAL DATE (UTC)', (item) => time(item.logicalDate)],
      ['DUE (UTC)', (item) => time(item.dueAt)],
      ['OUTCOME', (item) => state(item.outcome)],
      ['REASON', reasonText],
      ['RUN', (item) => item.runId ?? item.madeGood?.runId],
      ['AND ALL SINCE (UTC)', (item) => item.sinceLogicalDate && time(item.sinceLogicalDate)],
    ],
    'Nothing was due yet.',
  );
}

function reasonText({ reason, events, madeGood }: ExpectedRun): string | null {
  const words = [
    ...(reason === null ? [] : [reason]),
    ...(events === undefined ? [] : [`${events} ${events === 1 ? 'event' : 'events'}`]),
    ...(madeGood === undefined ? [] : ['made good by a backfill']),
  ];
  return words.length === 0 ? null : words.join(', ');
}

/** A schedule in a line. */
export function scheduleText({ cron, timezone }: WorkflowSchedule): string {
  return `${cron} ${timezone}`;
}

/** What a schedule says beside its times, each as a field; what is as everywhere is not among them. */
export function policiesOf(schedule: WorkflowSchedule): readonly (readonly [string, string])[] {
  const { startDate, endDate, jitterMs, dst, overlap, dependsOnPast } = schedule;
  return [
    ...(startDate === undefined ? [] : [['starts', time(startDate)] as const]),
    ...(endDate === undefined ? [] : [['ends', time(endDate)] as const]),
    ['catchup', catchupText(schedule)] as const,
    ...(jitterMs === undefined ? [] : [['jitter', formatDuration(jitterMs)] as const]),
    ...(dst === undefined ? [] : [['clock changes', dstText(dst)] as const]),
    ...(overlap === undefined ? [] : [['overlap', overlapText(overlap)] as const]),
    ...(dependsOnPast
      ? [['depends on past', 'waits until the run before has succeeded'] as const]
      : []),
  ];
}

function catchupText({ catchup, catchupAtMost, catchupWithinMs }: WorkflowSchedule): string {
  if (!catchup) return 'no: of what passed, the latest runs';
  const limits = [
    ...(catchupAtMost === undefined ? [] : [`the newest ${catchupAtMost} at most`]),
    ...(catchupWithinMs === undefined
      ? []
      : [`those of the last ${formatDuration(catchupWithinMs)}`]),
  ];
  return limits.length === 0 ? 'yes' : limits.join(', ');
}

function dstText({ missing, duplicate }: DstPolicies): string {
  return `missing ${missing}, duplicate ${duplicate}`;
}

function overlapText({ policy, atMost }: NonNullable<WorkflowSchedule['overlap']>): string {
  return atMost === undefined ? policy : `${policy}, at most ${atMost} wait`;
}
