/** Tells why a ready task does not start, in the words of who asks at night: what is full, paused or missing, by name. */
import { plainName } from '../../domain/environment.ts';
import type { TaskWait } from '../../domain/run.ts';
import { formatDuration } from '../../domain/time.ts';
import { codeKey, codeName } from '../dispatch/definitions.ts';
import type { Version } from '../runs/versions.ts';
import type { Tx } from '../store/connection.ts';
import { findDefined, readTaskKeys } from '../store/definition-set.ts';
import {
  type QueueLimits,
  type ReadyRow,
  readPoolUse,
  readQueueLimits,
  readReady,
  readServing,
} from '../store/waits-for.ts';

/** What the ready tasks of a run wait for, by their index. */
export async function readTaskWaits(
  db: Tx,
  runId: string,
  version: Version,
): Promise<(task: number) => TaskWait | undefined> {
  const rows = await readReady(db, runId);
  if (rows.length === 0) return () => undefined;
  const queues = [...new Set(rows.map(({ queue }) => queue))];
  const pools = [...new Set(rows.flatMap(({ pool }) => pool ?? []))];
  const [limits, used, serving] = await Promise.all([
    readQueueLimits(db, queues),
    pools.length === 0 ? [] : readPoolUse(db, pools),
    readServing(db, queues),
  ]);
  const definedBy = await readDefining(db, serving, version, rows);
  const queueOf = new Map(limits.map((row) => [row.name, row]));
  const poolOf = new Map(used.map((row) => [row.name, row]));
  const waitOf = (row: ReadyRow): Omit<TaskWait, 'since'> => {
    const gated = gateWait(row);
    if (gated) return gated;
    const stopped = queueWait(queueOf.get(row.queue)) ?? queueWait(queueOf.get('*'));
    if (stopped) return stopped;
    const agents = serving.filter((agent) => agent.queues.includes(row.queue));
    if (agents.length === 0) {
      return wait('no-agent', row.queue, `no agent serves the queue ${row.queue}`);
    }
    const defining = agents.filter((agent) => definedBy(agent, row.task));
    if (defining.length === 0) return undefinedWait(version, row, agents, definedBy);
    const { labels } = row;
    if (labels && !defining.some((agent) => labels.every((one) => agent.labels?.includes(one)))) {
      const words = labels.join(', ');
      return wait('no-agent-with-labels', words, `no agent of ${row.queue} has ${words}`);
    }
    const pool = row.pool === null ? undefined : poolOf.get(row.pool);
    if (pool && pool.max > 0 && row.pool_slots > pool.max) {
      const needs = `it needs ${row.pool_slots} slots, and the pool ${pool.name} has ${pool.max}`;
      const advice = `give the pool more (signalbox pools set ${pool.name} --max ${row.pool_slots}) or the task fewer poolSlots`;
      return wait('pool-full', pool.name, `it can never start: ${needs}; ${advice}`);
    }
    if (pool && pool.used + row.pool_slots > pool.max) {
      const slots = `${pool.used} of ${pool.max} slots are in use, and it needs ${row.pool_slots}`;
      return wait('pool-full', pool.name, `the pool ${pool.name} is full: ${slots}`);
    }
    return wait('no-slot', row.queue, `no agent of ${row.queue} has a free slot`);
  };
  const waits = new Map(
    rows.map((row): [number, TaskWait] => [
      row.task,
      { ...waitOf(row), since: row.since.toISOString() },
    ]),
  );
  // Tasks that share a row with others wait for the same.
  const [shared] = rows.filter((row) => row.gate === null && row.labels === null && !row.pool);
  return (task) => waits.get(task) ?? (shared && waits.get(shared.task));
}

type Serving = Awaited<ReturnType<typeof readServing>>[number];

/** Whether an agent has the code of a task; without the task, whether it has the workflow at all. */
type DefinedBy = (agent: Serving, task: number, inAnyVersion?: boolean) => boolean;

async function readDefining(
  db: Tx,
  serving: readonly Serving[],
  version: Version,
  rows: readonly ReadyRow[],
): Promise<DefinedBy> {
  const sets = [...new Set(serving.flatMap(({ definitions }) => definitions ?? []))];
  const nameOf = (task: number) => codeName(version, version.tasks[task]);
  const names = [...new Set(rows.map(({ task }) => nameOf(task)))];
  const found = sets.length === 0 ? [] : await findDefined(db, sets, names);
  const keysOf = new Map<string, ReadonlySet<string> | null>();
  for (const { name, version: other } of found) {
    if (name !== version.workflow || other === version.version || keysOf.has(other)) continue;
    const keys = await readTaskKeys(db, name, other);
    keysOf.set(other, keys === undefined ? null : new Set(keys));
  }
  const versionIn = new Map(found.map((one) => [`${one.id}/${one.name}`, one.version]));
  return ({ definitions }, index, inAnyVersion = false) => {
    if (definitions === null) return true;
    const other = versionIn.get(`${definitions}/${nameOf(index)}`);
    if (other === undefined) return false;
    const [task, keys] = [version.tasks[index], keysOf.get(other)];
    return inAnyVersion || !task || !keys || keys.has(codeKey(task));
  };
}

/** No agent of the queue has its code. */
function undefinedWait(
  version: Version,
  { task, queue }: ReadyRow,
  agents: readonly Serving[],
  definedBy: DefinedBy,
): Omit<TaskWait, 'since'> {
  const name = plainName(codeName(version, version.tasks[task]));
  if (!agents.some((agent) => definedBy(agent, task, true))) {
    const advice = 'start one with its file, or cancel the run';
    const message = `no agent of the queue ${queue} defines ${name}: ${advice}`;
    return wait('no-definition', name, message);
  }
  const key = version.tasks[task]?.key ?? '';
  const what = `no agent of the queue ${queue} has ${name} with a task ${key}`;
  const advice = 'bring the task back, or cancel the run and start a new one';
  const message = `${what}: its code was changed since the run began; ${advice}`;
  return wait('no-definition', name, message);
}

function wait(
  reason: TaskWait['reason'],
  name: string,
  message: string,
  runId?: string | null,
): Omit<TaskWait, 'since'> {
  return { reason, name, message, ...(runId ? { runId } : {}) };
}

const GATE = /^(key|run|task|workflow) (.*)$/s;

function gateWait({ gate, most, holder, holders }: ReadyRow): Omit<TaskWait, 'since'> | undefined {
  const [, kind, rest = ''] = GATE.exec(gate ?? '') ?? [];
  const many = `${holders} of ${most} run`;
  if (kind === 'key') {
    const key = rest.slice(rest.indexOf(':') + 1);
    const by = holder === null ? '' : `, held by run ${holder}`;
    const message = `the concurrency key ${key} is taken (${holders} of ${most})${by}`;
    return wait('concurrency-key', key, message, holder);
  }
  if (kind === 'run')
    return wait('run-limit', rest, `the task is at its limit in one run: ${many}`);
  if (kind === 'task') return wait('task-limit', rest, `the task is at its limit: ${many}`, holder);
  if (kind === 'workflow') {
    return wait('workflow-limit', rest, `the workflow ${rest} is at its limit: ${many}`, holder);
  }
  return undefined;
}

function queueWait(queue: QueueLimits | undefined): Omit<TaskWait, 'since'> | undefined {
  if (!queue) return undefined;
  const { name, paused, concurrency, running, rate_count, rate_per_ms, tokens } = queue;
  const words = name === '*' ? 'all queues together' : `the queue ${name}`;
  const verb = name === '*' ? 'are' : 'is';
  if (paused) return wait('queue-paused', name, `${words} ${verb} paused`);
  if (concurrency !== null && (running ?? 0) >= concurrency) {
    const message = `${words} ${verb} at the limit: ${running} of ${concurrency} run`;
    return wait('queue-limit', name, message);
  }
  if (rate_count !== null && rate_per_ms !== null && (tokens ?? 1) < 1) {
    const message = `${words} ${verb} at the rate of ${rate_count} in ${formatDuration(rate_per_ms)}`;
    return wait('queue-rate', name, message);
  }
  return undefined;
}
