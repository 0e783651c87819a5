/** `signalbox runs cancel|retry|rerun|mark|pause|resume` */
import { type Command, InvalidArgumentError } from 'commander';
import type { Run } from '../../../domain/run.ts';
import { type EffectOptions, propose, spanEnd, spanStart, withEffect } from '../effect.ts';
import { UsageError } from '../exit.ts';
import { state } from '../output.ts';
import { type Remote, remoteCommand, segment } from '../remote.ts';

interface CancelOptions extends EffectOptions {
  readonly workflow?: string;
  readonly state?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly task?: readonly string[];
}

interface RetryOptions extends EffectOptions {
  readonly from?: string;
  readonly all?: boolean;
  readonly asNewRun?: boolean;
}

interface MarkOptions extends EffectOptions {
  readonly as: string;
  readonly task?: readonly string[];
  readonly result?: unknown;
}

/** Options of every action that shows its effect. */
function effectOptions(command: Command): Command {
  return command
    .option('--reason <text>', 'why, for the record')
    .option('--dry-run', 'show the effect and change nothing')
    .option('-y, --yes', 'do not ask');
}

function reasonOf({ reason }: EffectOptions): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

export function cancelCommand(): Command {
  const command = remoteCommand<CancelOptions>(
    'cancel [id]',
    'Cancel a run with the runs that it started, tasks of it, or many runs of a workflow',
    async (remote, id) => {
      const { options } = remote;
      if (id === undefined) {
        await cancelMany(remote);
        return;
      }
      if (options.workflow ?? options.state ?? options.from ?? options.to) {
        throw new UsageError('give the id of a run, or choose runs with --workflow');
      }
      const path = `/runs/${segment(id)}/cancel`;
      const body = reasonOf(options);
      if (options.task) {
        await withEffect(remote, path, { ...body, tasks: options.task });
        return;
      }
      if ((await propose(remote, path, body)) === 'over') return;
      const run = await remote.api.post<Run>(path, body);
      remote.print(run, () =>
        run.state === 'cancelled'
          ? `Run ${run.id} is cancelled.`
          : `Run ${run.id} is told to stop; it is cancelled once its tasks have ended.`,
      );
    },
  )
    .option('--task <key...>', 'only these tasks of the run')
    .option('--workflow <name>', 'runs of this workflow')
    .option(
      '--state <state...>',
      'of those the ones in these states; all unfinished ones unless told',
    )
    .option('--from <date>', 'of those the ones from this logical date on')
    .option('--to <date>', 'of those the ones before this time; a date includes its whole day');
  return effectOptions(command);
}

const UNFINISHED = ['scheduled', 'queued', 'running', 'retrying'];

async function cancelMany(remote: Remote<CancelOptions>): Promise<void> {
  const { workflow, state: states, from, to, task, ...rest } = remote.options;
  if (workflow === undefined) {
    throw new UsageError('give the id of a run, or choose runs with --workflow');
  }
  if (task) throw new UsageError('--task goes with the id of one run');
  await withEffect(remote, '/runs/cancel', {
    ...{ workflow, states: states ?? UNFINISHED, ...reasonOf(rest) },
    ...(from === undefined ? {} : { from: spanStart(from) }),
    ...(to === undefined ? {} : { to: spanEnd(to) }),
  });
}

export function retryCommand(): Command {
  const command = remoteCommand<RetryOptions>(
    'retry <id>',
    'Run again what failed; what succeeded keeps its result',
    async (remote, id = '') => {
      const { from, all, asNewRun, ...rest } = remote.options;
      if (asNewRun) {
        if (from ?? all) throw new UsageError('--as-new-run begins at the beginning');
        await rerun(remote, id, {});
        return;
      }
      if (from !== undefined && all) throw new UsageError('give --from or --all, not both');
      const body = {
        ...reasonOf(rest),
        ...(from === undefined ? {} : { from }),
        ...(all ? { all } : {}),
      };
      const path = `/runs/${segment(id)}/retry`;
      if ((await propose(remote, path, body)) === 'over') return;
      const run = await remote.api.post<Run>(path, body);
      remote.print(run, () => `Run ${run.id} is ${state(run.state)}.`);
    },
  )
    .option('--from <task>', 'this task, or recorded step of a flow, and all that follows as well')
    .option('--all', 'everything, from the beginning')
    .option('--as-new-run', 'a new run with the same parameters and date in its place');
  return effectOptions(command);
}

export function rerunCommand(): Command {
  return remoteCommand<{ idempotencyKey?: string; parameters?: unknown }>(
    'rerun <id>',
    'A new run with the parameters and date of one that has ended',
    async (remote, id = '') => {
      const { idempotencyKey, parameters } = remote.options;
      await rerun(remote, id, {
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(parameters === undefined ? {} : { parameters }),
      });
    },
  )
    .option('--parameters <json>', 'in place of those of the run', readJson)
    .option('--idempotency-key <key>', 'the same key gives the same new run again');
}

async function rerun(remote: Remote<object>, id: string, body: object): Promise<void> {
  const run = await remote.api.post<Run>(`/runs/${segment(id)}/rerun`, body);
  remote.print(run, () => `Run ${run.id} is ${state(run.state)}; it is a retry of ${id}.`);
}

export function markCommand(): Command {
  const command = remoteCommand<MarkOptions>(
    'mark <id>',
    'Count a run, or tasks of it, as succeeded or failed',
    async (remote, id = '') => {
      const { as, task, result, ...rest } = remote.options;
      await withEffect(remote, `/runs/${segment(id)}/mark`, {
        ...{ as, ...reasonOf(rest) },
        ...(task ? { tasks: task } : {}),
        ...(result === undefined ? {} : { result }),
      });
    },
  )
    .requiredOption('--as <state>', 'succeeded or failed')
    .option('--task <key...>', 'only these tasks; the whole run unless told')
    .option('--result <json>', 'result of the one task that is marked as succeeded', readJson);
  return effectOptions(command);
}

export function pauseCommand(word: 'pause' | 'resume', description: string): Command {
  return remoteCommand<EffectOptions>(`${word} <id>`, description, async (remote, id = '') => {
    const path = `/runs/${segment(id)}/${word}`;
    if (
      (await propose({ ...remote, options: { ...remote.options, yes: true } }, path, {})) === 'over'
    ) {
      return;
    }
    const run = await remote.api.post<Run>(path, {});
    remote.print(run, () =>
      run.pausedAt
        ? `Run ${run.id} is paused: nothing new of it starts, what runs goes on.`
        : `Run ${run.id} goes on; it is ${state(run.state)}.`,
    );
  }).option('--dry-run', 'show the effect and change nothing');
}

/** @throws InvalidArgumentError for what is not JSON */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError('give JSON, for example {"rows": 3} or "text"');
  }
}
