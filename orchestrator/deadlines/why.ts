/** Why a run or a task is late: what holds it up, by name, as far as the run's own rows and the limits tell. */
import type { LateBlocker, LateReason } from '../../domain/deadline.ts';
import type { Task } from '../../domain/run.ts';
import type { Version } from '../runs/versions.ts';
import type { Tx } from '../store/connection.ts';
import { readLimits } from '../store/late.ts';
import type { RunRow } from '../store/run.ts';

export interface Why {
  readonly reason: LateReason;
  readonly blockers: readonly LateBlocker[];
}

const MAX_BLOCKERS = 10;
const OPEN = new Set(['pending', 'ready', 'retrying', 'waiting', 'running']);
/** The first that holds for anything is the reason. */
const ORDER: readonly LateReason[] = [
  'pool',
  'queue-paused',
  'no-agent',
  'no-slot',
  'depends-on-past',
  'upstream',
  'retrying',
  'waiting',
  'running',
];

export function isOpen(task: Task): boolean {
  return OPEN.has(task.state);
}

/**
 * @param tasks of the run
 * @param taskKey the task that is late; null for the run
 */
export async function whyLate(
  tx: Tx,
  run: RunRow,
  version: Version,
  tasks: readonly Task[],
  taskKey: string | null,
): Promise<Why> {
  if (run.paused_at !== null) {
    const by = run.paused_by === null ? '' : ` by ${run.paused_by}`;
    const detail = `the run is paused since ${run.paused_at.toISOString()}${by}`;
    return { reason: 'paused', blockers: [{ kind: 'run', name: run.id, detail }] };
  }
  if (run.live_state === 'scheduled') return whyNotBegun(tx, run);
  const late = taskKey === null ? null : (tasks.find(({ key }) => key === taskKey) ?? null);
  const open = tasks.filter(isOpen);
  const holding = late?.state === 'pending' ? upstreamOf(late, open) : [];
  const looked = late === null ? open : [late, ...holding];
  const found = await blockersOf(tx, version, looked);
  if (late?.state === 'pending' && holding.length > 0) {
    for (const before of holding) {
      const detail = `${late.key} waits for it, and it is ${before.state}`;
      found.push(['upstream', { kind: 'task', name: before.key, detail }]);
    }
  }
  const reason = ORDER.find((one) => found.some(([of]) => of === one)) ?? 'running';
  // What is the reason comes first, and what else holds it up after it.
  const sorted = [...found].sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
  const named = new Map(
    sorted.toReversed().map(([, blocker]) => [`${blocker.kind} ${blocker.name}`, blocker]),
  );
  return { reason, blockers: [...named.values()].toReversed().slice(0, MAX_BLOCKERS) };
}

async function whyNotBegun(tx: Tx, run: RunRow): Promise<Why> {
  if (run.waits_for !== null) {
    const detail = 'it waits for this run, of the date before';
    return {
      reason: 'depends-on-past',
      blockers: [{ kind: 'run', name: run.waits_for, detail }],
    };
  }
  const before = await tx.query<{ run_id: string; state: string; paused: boolean }>(
    `SELECT run_id, state, paused_at IS NOT NULL AS paused FROM signalbox.run_live
     WHERE workflow = $1 AND state <> 'scheduled' ORDER BY run_id LIMIT ${MAX_BLOCKERS}`,
    [run.workflow],
  );
  return {
    reason: 'max-active-runs',
    blockers: before.map(({ run_id, state, paused }) => ({
      kind: 'run',
      name: run_id,
      detail: `it has the workflow's room, and is ${paused ? 'paused' : state}`,
    })),
  };
}

/** What a task waits for, directly or through others, that is not pending itself. */
function upstreamOf(task: Task, open: readonly Task[]): readonly Task[] {
  const byKey = new Map(open.map((one) => [one.key, one]));
  const seen = new Set<string>();
  const found: Task[] = [];
  const left = [...task.dependsOn];
  for (let key = left.pop(); key !== undefined; key = left.pop()) {
    const before = byKey.get(key);
    if (!before || seen.has(key)) continue;
    seen.add(key);
    if (before.state === 'pending') left.push(...before.dependsOn);
    else found.push(before);
  }
  return found;
}

async function blockersOf(
  tx: Tx,
  version: Version,
  tasks: readonly Task[],
): Promise<[LateReason, LateBlocker][]> {
  const waiting = tasks.flatMap((task) => {
    const graphTask = version.tasks[version.indexOf.get(task.key) ?? -1];
    return task.state === 'ready' && graphTask ? [{ task, graphTask }] : [];
  });
  const limits = await readLimits(tx, {
    pools: waiting.flatMap(({ graphTask }) => graphTask.pool ?? []),
    queues: waiting.map(({ graphTask }) => graphTask.queue),
  });
  const found = waiting.map(({ task, graphTask }): [LateReason, LateBlocker] => {
    const pool = graphTask.pool === null ? undefined : limits.pools.get(graphTask.pool);
    if (pool && pool.used + graphTask.poolSlots > pool.max) {
      const detail = `${task.key} waits for a slot: ${pool.used} of ${pool.max} are in use`;
      return ['pool', { kind: 'pool', name: graphTask.pool ?? '', detail }];
    }
    const queue = limits.queues.get(graphTask.queue);
    const blocker = (detail: string): LateBlocker => ({
      kind: 'queue',
      name: graphTask.queue,
      detail: `${task.key} is ready, and ${detail}`,
    });
    if (queue?.paused) return ['queue-paused', blocker('the queue is paused')];
    if (!queue || queue.agents === 0) return ['no-agent', blocker('no agent serves the queue')];
    return ['no-slot', blocker('no agent of the queue has a free slot')];
  });
  for (const task of tasks) {
    const words = WORDS[task.state];
    if (!words) continue;
    const reason = task.reason === 'depends-on-past' ? 'depends-on-past' : words[0];
    const on = task.agent === null ? '' : ` on ${task.agent}`;
    found.push([reason, { kind: 'task', name: task.key, detail: `${words[1]}${on}` }]);
  }
  return found;
}

const WORDS: Readonly<Record<string, readonly [LateReason, string] | undefined>> = {
  retrying: ['retrying', 'an attempt failed, and the next one waits'],
  waiting: ['waiting', 'it waits for a time, an event or a person'],
  running: ['running', 'it runs'],
};
