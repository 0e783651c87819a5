/** `signalbox workflows list|show|check|next|expected|trigger|pause|unpause` */
import { Command } from 'commander';
import type { WorkflowFileError } from '../../../domain/agent-protocol.ts';
import type { Pool } from '../../../domain/pool.ts';
import type { Run } from '../../../domain/run.ts';
import type { WorkflowDetail, WorkflowSummary } from '../../../orchestrator/service.ts';
import type { List } from '../api-client.ts';
import { spanStart } from '../effect.ts';
import { UsageError } from '../exit.ts';
import { printable, renderFields, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, signedNumber, wholeNumber } from '../remote.ts';
import { poolNotices } from './capacity.ts';
import { expectedCommand, nextCommand, policiesOf, scheduleText } from './schedules.ts';
import { checkCommand } from './workflows-check.ts';

interface TriggerOptions {
  readonly parameters?: string;
  readonly idempotencyKey?: string;
  readonly logicalDate?: string;
  readonly priority?: number;
  readonly cache: boolean;
}

export function workflowsCommand(): Command {
  return new Command('workflows')
    .description('Workflows: what can run, and when it will')
    .addCommand(listCommand())
    .addCommand(
      remoteCommand(
        'show <name>',
        'One workflow with its tasks and parameters',
        async (remote, name = '') => {
          const workflow = await remote.api.get<WorkflowDetail>(`/workflows/${segment(name)}`);
          remote.print(workflow, renderWorkflow);
        },
      ),
    )
    .addCommand(checkCommand())
    .addCommand(nextCommand())
    .addCommand(expectedCommand())
    .addCommand(triggerCommand())
    .addCommand(pauseCommand('pause', 'Start no more runs by schedule'))
    .addCommand(pauseCommand('unpause', 'Start runs by schedule again'));
}

function listCommand(): Command {
  return remoteCommand<{ limit?: number }>(
    'list',
    'All workflows',
    async ({ api, options, print }) => {
      const [list, errors, pools] = await Promise.all([
        api.get<List<WorkflowSummary>>('/workflows', { limit: options.limit }),
        api.get<{ items: readonly WorkflowFileError[] }>('/workflow-errors'),
        api.get<List<Pool>>('/pools', { limit: 1_000 }),
      ]);
      const notices = poolNotices(pools.items);
      print({ ...list, fileErrors: errors.items, notices }, () =>
        [
          renderWorkflows(list.items),
          ...errors.items.map(renderFileError),
          ...notices.map((notice) => `\nnotice  ${printable(notice)}`),
        ].join('\n'),
      );
    },
  ).option('--limit <n>', 'at most so many', wholeNumber);
}

function renderWorkflows(items: readonly WorkflowSummary[]): string {
  return renderTable(
    items,
    [
      ['WORKFLOW', (item) => item.name],
      ['KIND', (item) => item.kind],
      ['TASKS', (item) => item.taskCount],
      [
        'SCHEDULE',
        (item) => (item.paused ? `${item.schedule?.cron ?? ''} (paused)` : item.schedule?.cron),
      ],
      ['NEXT RUN (UTC)', (item) => time(item.nextRunAt)],
      ['FILE', (item) => item.file],
    ],
    'No workflows. An agent brings them: signalbox agent --workflows DIR',
  );
}

function renderFileError({ file, message, agent }: WorkflowFileError): string {
  const by = agent ? ` (agent ${printable(agent)})` : '';
  return `\n${state('error')}  ${printable(file)}${by}\n       ${printable(message)}`;
}

function renderWorkflow(workflow: WorkflowDetail): string {
  const { schedule } = workflow;
  const fields = renderFields([
    ['name', workflow.name],
    ['kind', workflow.kind],
    ['description', workflow.description],
    ['schedule', schedule && scheduleText(schedule)],
    ['next run', time(workflow.nextRunAt)],
    ...(schedule === null ? [] : policiesOf(schedule)),
    ['paused', workflow.paused],
    ['parameters', workflow.parameters],
    ['file', workflow.file],
    ['version', workflow.version],
  ]);
  const tasks = renderTable(
    workflow.tasks,
    [
      ['TASK', (task) => task.key],
      ['AFTER', (task) => task.after.join(', ')],
      ...weightColumns(workflow),
    ],
    'No tasks',
  );
  return `${fields}\n\n${tasks}`;
}

type Column = readonly [string, (task: WorkflowDetail['tasks'][number]) => unknown];

/** What claims go by, where tasks have it. */
function weightColumns({ tasks }: WorkflowDetail): readonly Column[] {
  if (!tasks.some(({ priority }) => priority !== undefined)) return [];
  const priority: Column = ['PRIORITY', (task) => task.priority ?? 0];
  const isWeighted = tasks.some(
    ({ priorityWeight, weightRule }) => priorityWeight !== undefined || weightRule !== undefined,
  );
  if (!isWeighted) return [priority];
  return [
    priority,
    ['WEIGHT', (task) => task.priorityWeight ?? 1],
    ['RULE', (task) => task.weightRule ?? 'downstream'],
  ];
}

function triggerCommand(): Command {
  return remoteCommand<TriggerOptions>(
    'trigger <name>',
    'Start a run',
    async (remote, name = '') => {
      const { parameters, idempotencyKey, logicalDate, priority, cache } = remote.options;
      if (!cache) await remote.api.post(`/workflows/${segment(name)}/cache/clear`, {});
      const run = await remote.api.post<Run>(`/workflows/${segment(name)}/runs`, {
        ...(parameters === undefined ? {} : { parameters: readParameters(parameters) }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(logicalDate === undefined ? {} : { logicalDate: spanStart(logicalDate) }),
        ...(priority === undefined ? {} : { priority }),
      });
      remote.print(
        run,
        ({ id }) => `Run ${id} is ${state(run.state)}. Its log: signalbox runs logs ${id}`,
      );
    },
  )
    .option('--parameters <json>', 'parameters as a JSON object: \'{"n":5}\'')
    .option('--idempotency-key <key>', 'the same key gives the first run again')
    .option(
      '--logical-date <time>',
      'what the run is for: a date (its midnight in UTC) or RFC 3339',
    )
    .option('--priority <n>', 'higher goes first, -1000 to 1000', signedNumber)
    .option('--no-cache', 'forget cached results of the workflow first');
}

function readParameters(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--parameters is not JSON: ${(error as Error).message}`);
  }
}

function pauseCommand(verb: 'pause' | 'unpause', description: string): Command {
  return remoteCommand(`${verb} <name>`, description, async (remote, name = '') => {
    const workflow = await remote.api.post<WorkflowSummary>(`/workflows/${segment(name)}/${verb}`);
    remote.print(
      workflow,
      () => `${workflow.name} is ${workflow.paused ? 'paused' : 'not paused'}.`,
    );
  });
}
