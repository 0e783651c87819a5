/** What can be proposed for a run by hand: each is shown with its effect before it is done. */
import { isTerminalRun, type Run, type Task } from '../../../../domain/run.ts';
import type { Effect } from '../../../../domain/run-control.ts';

/** A choice within a proposal; changing it shows the effect anew. */
export interface Choice {
  readonly name: 'downstream' | 'upstream' | 'force';
  readonly label: string;
  readonly on: boolean;
}

export interface Proposal {
  /** Last part of the route: `clear`, `mark`, … */
  readonly verb: 'clear' | 'mark' | 'cancel' | 'pause' | 'resume' | 'retry';
  /** Heading of the dialog, and of its button. */
  readonly title: string;
  readonly button: string;
  readonly grave: boolean;
  /** The likeliest thing to do. */
  readonly likely?: boolean;
  readonly body: Readonly<Record<string, unknown>>;
  readonly choices: readonly Choice[];
}

const FORCE: Choice = { name: 'force', label: 'Stop chosen tasks that are running', on: false };

/**
 * What can be done with the whole run, the likeliest first. Runs of other engines are left to these.
 * @param label what cancelling or retrying comes to; null where there is nothing to retry
 */
export function proposalsForRun(run: Run, label: string | null): readonly Proposal[] {
  if (run.engine !== 'signalbox') return [];
  const plain = { body: {}, choices: [] };
  const mark = (as: 'succeeded' | 'failed'): Proposal => ({
    ...{ verb: 'mark', title: `Mark the run as ${as}`, button: `Mark as ${as}` },
    ...{ grave: true, body: { as }, choices: [] },
  });
  if (!isTerminalRun(run.state)) {
    const paused = Boolean(run.pausedAt);
    return [
      paused
        ? { ...plain, verb: 'resume', title: 'Resume the run', button: 'Resume', grave: false }
        : { ...plain, verb: 'pause', title: 'Pause the run', button: 'Pause', grave: false },
      { ...plain, verb: 'cancel', title: label ?? 'Cancel the run', button: 'Cancel', grave: true },
      mark('succeeded'),
      mark('failed'),
    ];
  }
  const again: Proposal = {
    ...{ verb: 'retry', title: 'Run everything again', button: 'Run all again', grave: false },
    ...{ body: { all: true }, choices: [] },
  };
  const retry: readonly Proposal[] =
    label === null
      ? []
      : [{ ...plain, verb: 'retry', title: label, button: 'Retry', grave: false, likely: true }];
  return [...retry, again, ...(run.state === 'succeeded' ? [mark('failed')] : [mark('succeeded')])];
}

/** What can be done with one task (or a recorded step, which can only be run again with what follows). */
export function proposalsForTask(run: Run, task: Task, isStep: boolean): readonly Proposal[] {
  if (run.engine !== 'signalbox') return [];
  const tasks = [task.key];
  const over = isTerminalRun(run.state);
  const from: Proposal = {
    ...{ verb: 'retry', title: `Retry from ${task.key}`, button: 'Retry from here', grave: false },
    ...{ body: { from: task.key }, choices: [] },
  };
  if (isStep) return over ? [from] : [];
  const clear: Proposal = {
    ...{ verb: 'clear', title: `Run ${task.key} again`, button: 'Run again', grave: false },
    body: { tasks },
    choices: [
      { name: 'downstream', label: 'And everything that comes after it', on: true },
      { name: 'upstream', label: 'And everything that comes before it', on: false },
      ...(over ? [] : [FORCE]),
    ],
  };
  const mark = (as: 'succeeded' | 'failed'): Proposal => ({
    ...{ verb: 'mark', title: `Mark ${task.key} as ${as}`, button: `Mark as ${as}` },
    ...{ grave: true, body: { as, tasks }, choices: [] },
  });
  const open = ['pending', 'ready', 'retrying', 'running'].includes(task.state);
  const cancel: Proposal = {
    ...{ verb: 'cancel', title: `Cancel ${task.key}`, button: 'Cancel task', grave: true },
    ...{ body: { tasks }, choices: [] },
  };
  return [
    clear,
    ...(over ? [from] : []),
    ...(task.state === 'succeeded' ? [] : [mark('succeeded')]),
    ...(task.state === 'failed' ? [] : [mark('failed')]),
    ...(open ? [cancel] : []),
  ];
}

/** One line that says how much changes. */
export function effectSummary({ counts, runs }: Effect): string {
  if (counts.runs === 0) return 'Nothing would change.';
  const [run] = runs;
  const goes = run && run.from !== run.to ? `the run goes from ${run.from} to ${run.to}` : null;
  const words = [
    counts.rerun > 0 ? `${counted(counts.rerun, 'task runs', 'tasks run')} again` : null,
    counts.stopped > 0 ? `${counted(counts.stopped, 'attempt', 'attempts')} stopped` : null,
    counts.stepsForgotten > 0
      ? `${counted(counts.stepsForgotten, 'recorded step', 'recorded steps')} forgotten`
      : null,
    goes,
  ].filter((word) => word !== null);
  const text = words.join(', ');
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
