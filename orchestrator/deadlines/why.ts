/**
 * Why a run or a task is late: what holds it up, by name. What a ready task waits for is said by its page as well, and
 * in one way (`limits/waits-for.ts`); here is added what goes before: paused runs, keys, room, what comes upstream.
 */
import type { LateBlocker, LateReason } from '../../domain/deadline.ts';
import type { Task, TaskWait } from '../../domain/run.ts';
import type { Tx } from '../store/connection.ts';
import type { RunRow } from '../store/run.ts';
import { type KeyWait, readKeyWait } from '../store/run-key.ts';

export interface Why {
  readonly reason: LateReason;
  readonly blockers: readonly LateBlocker[];
}

const MAX_BLOCKERS = 10;
const OPEN = new Set(['pending', 'ready', 'retrying', 'waiting', 'running']);
/** The first that holds for anything is the reason. */
const ORDER: readonly LateReason[] = [
  'concurrency-key',
  'run-limit',
  'task-limit',
  'workflow-limit',
  'pool',
  'queue-paused',
  'queue-limit',
  'queue-rate',
  'no-agent',
  'no-agent-with-labels',
  'no-definition',
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
  const found = blockersOf(looked);
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
  const key = await readKeyWait(tx, run.id);
  if (key) return whyNoKey(key);
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

function whyNoKey({ key, max, holders }: KeyWait): Why {
  const shown = key.slice(key.indexOf(':') + 1);
  const many = `${holders.length} of ${max} runs hold it`;
  return {
    reason: 'concurrency-key',
    blockers: [
      { kind: 'key', name: shown, detail: `the run waits for this concurrency key: ${many}` },
      ...holders.slice(0, MAX_BLOCKERS - 1).map((name) => ({
        ...{ kind: 'run' as const, name },
        detail: `it holds the concurrency key ${shown}`,
      })),
    ],
  };
}

/** What stands in the way of a ready task, in the words that its page has for it. */
const WAITS: Readonly<Record<TaskWait['reason'], readonly [LateReason, LateBlocker['kind']]>> = {
  'pool-full': ['pool', 'pool'],
  'queue-paused': ['queue-paused', 'queue'],
  'queue-limit': ['queue-limit', 'queue'],
  'queue-rate': ['queue-rate', 'queue'],
  'no-agent': ['no-agent', 'queue'],
  'no-agent-with-labels': ['no-agent-with-labels', 'labels'],
  'no-definition': ['no-definition', 'workflow'],
  'no-slot': ['no-slot', 'queue'],
  'concurrency-key': ['concurrency-key', 'key'],
  'run-limit': ['run-limit', 'task'],
  'task-limit': ['task-limit', 'task'],
  'workflow-limit': ['workflow-limit', 'workflow'],
};

function blockersOf(tasks: readonly Task[]): [LateReason, LateBlocker][] {
  const found: [LateReason, LateBlocker][] = [];
  for (const { key, state, reason, agent, waitsFor } of tasks) {
    if (waitsFor) {
      const [late, kind] = WAITS[waitsFor.reason];
      const detail = `${key} is ready, and ${waitsFor.message}`;
      found.push([late, { kind, name: waitsFor.name, detail }]);
      if (waitsFor.runId !== undefined) {
        const holds = `it has what ${key} waits for`;
        found.push([late, { kind: 'run', name: waitsFor.runId, detail: holds }]);
      }
    }
    const words = WORDS[state];
    if (!words) continue;
    const late = reason === 'depends-on-past' ? 'depends-on-past' : words[0];
    const on = agent === null ? '' : ` on ${agent}`;
    found.push([late, { kind: 'task', name: key, detail: `${words[1]}${on}` }]);
  }
  return found;
}

const WORDS: Readonly<Record<string, readonly [LateReason, string] | undefined>> = {
  retrying: ['retrying', 'an attempt failed, and the next one waits'],
  waiting: ['waiting', 'it waits for a time, an event or a person'],
  running: ['running', 'it runs'],
};
