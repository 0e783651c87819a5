/** What can be done to a run, in words that say what will happen. */
import { isTerminalRun, type Run, type Task } from '../../../../domain/run.ts';
import { formatCount } from '../../parts/format.ts';

export interface RunAction {
  readonly kind: 'cancel' | 'retry';
  readonly label: string;
}

const UNFINISHED: readonly Task['state'][] = ['pending', 'ready', 'retrying'];

/** Null where nothing can be done: a run of another engine, or one that succeeded. */
export function runAction(run: Run, tasks: readonly Task[]): RunAction | null {
  if (run.engine !== 'signalbox') return null;
  if (!isTerminalRun(run.state)) {
    const running = tasks.filter(({ state }) => state === 'running').length;
    const waiting = tasks.filter(({ state }) => UNFINISHED.includes(state)).length;
    const label = [
      running > 0 ? `stop ${formatCount(running, 'task')} at work` : null,
      waiting > 0 ? `never start ${formatNumberOf(waiting, running > 0)}` : null,
    ].filter((part) => part !== null);
    return {
      kind: 'cancel',
      label: label.length > 0 ? `Cancel: ${label.join(', ')}` : 'Cancel the run',
    };
  }
  if (run.state === 'failed' || run.state === 'cancelled') {
    const kept = tasks.filter(({ state }) => state === 'succeeded').length;
    const again = tasks.length - kept;
    if (again === 0) return null;
    return {
      kind: 'retry',
      label: `Retry: run ${formatCount(again, 'task')} again${kept > 0 ? `, keep ${kept} done` : ''}`,
    };
  }
  return null;
}

function formatNumberOf(count: number, others: boolean): string {
  return others
    ? `${count} that ${count === 1 ? 'waits' : 'wait'}`
    : formatCount(count, 'task that waits', 'tasks that wait');
}
