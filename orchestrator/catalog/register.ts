/**
 * Registration of what agents read out of files: thousands of definitions, each time an agent starts, and nearly
 * always the very same. So each is hashed first, and only what differs from what is stored is compiled and
 * written, a thousand in a statement. Where two agents bring other versions of one name, the last one wins.
 * What a file no longer defines stays: its history does, and another agent may still run it.
 */
import { createHash } from 'node:crypto';
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { WorkflowDefinition, WorkflowFileError } from '../../domain/agent-protocol.ts';
import { canonicalJson } from '../../domain/run.ts';
import { isOwnName, ownNameFault } from '../../domain/shared-workflow.ts';
import { type EpochMs, toRfc3339 } from '../../domain/time.ts';
import { changedDefinitions, recount } from '../assets/partitions/recount.ts';
import { checkAutomation, storeAutomation } from '../automation/register.ts';
import { checkHooks, registerHooks } from '../deadlines/register.ts';
import {
  type CronSchedule,
  dueAt,
  firstInterval,
  type Interval,
  intervalAfter,
  parseCron,
  remembered,
} from '../schedule/cron.ts';
import { maxActiveOf } from '../schedule/overlap.ts';
import { registerSensors, withoutSensors } from '../sensors/register.ts';
import { upsertCheckDefinitions } from '../store/asset-check.ts';
import { type DeclaredAsset, upsertAssets } from '../store/asset-definition.ts';
import { replaceAssetTasks } from '../store/asset-task.ts';
import type { Db, Tx } from '../store/connection.ts';
import { readDefinitions } from '../store/partition.ts';
import { replaceNamedPools } from '../store/pool.ts';
import {
  type FileFault,
  readLeft,
  readRegistered,
  replaceFileErrors,
  type Teller,
  upsertWorkflows,
  type WorkflowRecord,
} from '../store/workflow.ts';
import { storeCode } from '../store/workflow-code.ts';
import { replaceConditions } from '../store/workflow-on.ts';
import { refuseCircles } from '../triggers/register.ts';
import { compileGraph } from './graph.ts';
import { poolsNamed } from './pools.ts';

/** Queue of the agents in the servers themselves. */
const SYSTEM_QUEUE = 'signalbox-system';
const BATCH = 500;
/** Definitions hashed before others have their turn; about ten milliseconds. */
const HASHED_AT_ONCE = 200;
const MAX_NAME_LENGTH = 500;
/** Among these are what PostgreSQL keeps in no text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

interface Registration {
  readonly definition: WorkflowDefinition;
  readonly record: WorkflowRecord;
}

/** The next interval of a schedule that is known, and of one that is new. */
interface NextIntervals {
  following(schedule: CronSchedule): Interval | null;
  first(schedule: CronSchedule): Interval | null;
}

/** @returns names of what is new or has changed */
export async function register(
  db: Db,
  definitions: readonly WorkflowDefinition[],
  errors: readonly WorkflowFileError[],
  now: EpochMs,
  teller: Teller | null,
): Promise<readonly string[]> {
  const agent = teller?.agent ?? null;
  const faults = new Map<string, FileFault>();
  const tell = (file: string, message: string, otherAgent: string | null = null) => {
    const before = faults.get(file);
    faults.set(
      file,
      before === undefined
        ? { file, message, otherAgent }
        : // It stands as long as one of its reasons does.
          { file, message: `${before.message}\n${message}`, otherAgent: null },
    );
  };
  for (const error of errors) tell(error.file, error.message);
  const workflows = await refuseCircles(db, withoutSensors(definitions), tell);
  const changed = await changedOnes(db, workflows, tell, now, agent);
  for (let start = 0; start < changed.length; start += BATCH) {
    await store(db, changed.slice(start, start + BATCH), now, agent);
  }
  await storeCodes(db, workflows);
  // After the workflows that they start.
  const sensors = await registerSensors(db, definitions, { isName, versionOf, tell }, now);
  if (teller !== null) await tellLeft(db, teller, definitions, new Set(faults.keys()), tell);
  await db.transaction((tx) =>
    replaceFileErrors(
      tx,
      teller ?? { agent: '', session: '' },
      [...faults.values()],
      new Date(now),
    ),
  );
  return [...changed.map(({ record }) => record.name), ...sensors];
}

const MOST_LEFT = 200;

/**
 * Tells of workflows that the agent no longer defines, while something still starts them or runs of them go on. What a
 * file with a fault defined is told by that fault.
 */
async function tellLeft(
  db: Db,
  teller: Teller,
  definitions: readonly WorkflowDefinition[],
  faulty: ReadonlySet<string>,
  tell: (file: string, message: string) => void,
): Promise<void> {
  const names = definitions.map(({ name }) => name);
  for (const { name, file, starts, runs } of await readLeft(db, teller, names, MOST_LEFT)) {
    if (faulty.has(file)) continue;
    const what = `${name} is no longer defined`;
    const advice = `bring it back, or pause it: signalbox workflows pause ${name}`;
    const under = runs === 0 ? '' : `; ${runs} of its runs are under way, and wait for it`;
    if (starts) tell(file, `${what}, and its runs still start${under}: ${advice}`);
    else tell(file, `${what}${under}: bring it back, or cancel them`);
  }
}

async function storeCodes(db: Db, definitions: readonly WorkflowDefinition[]): Promise<void> {
  const codes = definitions.flatMap(({ name, codeVersions }) =>
    codeVersions === undefined ? [] : [{ workflow: name, tasks: codeVersions }],
  );
  // One name that two files have is told as a fault; one row is enough for it.
  const byName = [...new Map(codes.map((code) => [code.workflow, code])).values()];
  for (let start = 0; start < byName.length; start += BATCH) {
    await storeCode(db, byName.slice(start, start + BATCH));
  }
}

/** What differs from what is stored, compiled, in the order of names (the order in which rows are locked). */
async function changedOnes(
  db: Db,
  definitions: readonly WorkflowDefinition[],
  tell: (file: string, message: string, otherAgent?: string | null) => void,
  now: EpochMs,
  agent: string | null,
): Promise<readonly Registration[]> {
  const byName = new Map<string, WorkflowDefinition>();
  for (const definition of definitions) {
    const { name, file } = definition;
    const first = byName.get(name);
    if (!isName(name)) tell(file, `a name has 1 to ${MAX_NAME_LENGTH} printable characters`);
    else if (first && first.file !== file) tell(file, `${name} is defined in ${first.file} too`);
    else byName.set(name, definition);
  }
  const stored = await readRegistered(db, [...byName.keys()]);
  const known = new Map(stored.map((row) => [row.name, row]));
  const changed: Registration[] = [];
  const next: NextIntervals = {
    following: remembered(intervalAfter, now),
    first: remembered(firstInterval, now),
  };
  let hashed = 0;
  for (const definition of byName.values()) {
    hashed += 1;
    if (hashed % HASHED_AT_ONCE === 0) await yieldToOthers();
    const version = versionOf(definition);
    const before = known.get(definition.name);
    // A file that was renamed or moved is told by who runs the older code as well, until that one ends.
    if (before?.live && before.agent !== agent && before.file !== definition.file) {
      const other = `${before.file}, which agent ${before.agent} has`;
      const what = `${definition.name} is defined in ${other} too: the one that was told last counts`;
      tell(definition.file, `${what}; give one of them another name`, before.agent);
    }
    if (before?.version === version && before.file === definition.file) continue;
    try {
      if (before?.kind === 'system' || isOwnName(definition.name)) {
        if (!isHidden(definition)) throw new Error(ownNameFault(definition.name));
      }
      changed.push({ definition, record: recordOf(definition, version, next) });
    } catch (error) {
      tell(definition.file, error instanceof Error ? error.message : String(error));
    }
  }
  return changed.sort((a, b) => (a.record.name < b.record.name ? -1 : 1));
}

function isName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_NAME_LENGTH && !UNPRINTABLE.test(name);
}

/** What the servers' own agents bring: it comes out of no file, and for their queue. */
function isSystem(definition: WorkflowDefinition): boolean {
  return definition.queue === SYSTEM_QUEUE && definition.file === '';
}

/** Whether people do not see it among their workflows. */
function isHidden(definition: WorkflowDefinition): boolean {
  return isSystem(definition) || definition.callbacksOf !== undefined;
}

/** Version of a definition: a hash of all it says, but of the file it stands in and of its code. */
export function versionOf(definition: WorkflowDefinition): string {
  const known = versions.get(definition);
  if (known !== undefined) return known;
  const { file: _file, codeVersions: _code, ...said } = definition;
  const version = hashOf(said);
  versions.set(definition, version);
  return version;
}

/** Each is asked for several times while it is registered. */
const versions = new WeakMap<WorkflowDefinition, string>();

/** Short hash of a value's canonical JSON. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16);
}

function recordOf(
  definition: WorkflowDefinition,
  version: string,
  next: NextIntervals,
): WorkflowRecord {
  const { name, schedule } = definition;
  checkHooks(definition);
  checkAutomation(definition.asset);
  const following = schedule && next.following(schedule);
  const first = schedule && next.first(schedule);
  if (schedule && !first && schedule.endDate === undefined) {
    throw new Error(`the schedule "${schedule.cron}" never comes`);
  }
  const deadline = definition.asset?.deadlineCron;
  if (deadline) parseCron({ cron: deadline, timezone: 'UTC' });
  return {
    name: definition.name,
    kind: isHidden(definition) ? 'system' : definition.kind,
    file: definition.file,
    description: definition.description ?? definition.asset?.description ?? null,
    tags: definition.tags,
    owners: definition.owners,
    schedule,
    parameters: definition.parameters,
    queue: definition.queue,
    max_active_runs: maxActiveOf(definition.maxActiveRuns, schedule),
    version,
    starts_paused: definition.startsPaused === true,
    graph: compileGraph(definition),
    ...nextRunOf(name, schedule, following, 'next'),
    ...nextRunOf(name, schedule, first, 'first'),
  };
}

function nextRunOf<Which extends 'next' | 'first'>(
  name: string,
  schedule: WorkflowDefinition['schedule'],
  interval: Interval | null,
  which: Which,
): Pick<WorkflowRecord, `${Which}_run_at` | `${Which}_logical_date` | `${Which}_interval_end`> {
  const columns = {
    [`${which}_run_at`]: schedule && interval && toRfc3339(dueAt(name, schedule, interval)),
    [`${which}_logical_date`]: interval && toRfc3339(interval.start),
    [`${which}_interval_end`]: interval && toRfc3339(interval.end),
  };
  return columns as Pick<
    WorkflowRecord,
    `${Which}_run_at` | `${Which}_logical_date` | `${Which}_interval_end`
  >;
}

async function store(
  db: Db,
  batch: readonly Registration[],
  now: EpochMs,
  agent: string | null,
): Promise<void> {
  const at = new Date(now);
  const assets = batch.flatMap(({ definition, record }) => {
    const [task] = record.graph.tasks;
    return definition.asset && task
      ? [{ asset: definition.asset, workflow: record.name, task }]
      : [];
  });
  const checks = batch.flatMap(({ definition: { check }, record }) => {
    const [task] = record.graph.tasks;
    return check && task ? [{ check, workflow: record.name, task }] : [];
  });
  await db.transaction(async (tx) => {
    await upsertWorkflows(
      tx,
      batch.map(({ record }) => record),
      at,
      agent,
    );
    const conditions = batch.map(({ definition: { name, on = null } }) => ({ workflow: name, on }));
    await replaceConditions(tx, conditions);
    const pools = batch.map(({ definition, record: { name } }) => ({
      ...{ name, pools: poolsNamed([definition]) },
    }));
    await replaceNamedPools(tx, pools);
    await registerHooks(
      tx,
      batch.map(({ definition }) => definition),
      now,
    );
    if (assets.length > 0) await storeAssets(tx, assets, at);
    if (checks.length > 0) await upsertCheckDefinitions(tx, checks, at);
    const workflows = batch.filter(({ definition }) => definition.kind === 'workflow');
    if (workflows.length > 0) {
      const tasks = workflows.map(({ definition: { name, tasks } }) => ({ name, tasks }));
      await replaceAssetTasks(tx, tasks, at);
    }
  });
}

async function storeAssets(tx: Tx, assets: readonly DeclaredAsset[], at: Date): Promise<void> {
  const cut = new Map(
    assets.flatMap(({ asset: { key, partitions } }) =>
      partitions ? [[key, partitions] as const] : [],
    ),
  );
  const before = cut.size === 0 ? cut : await readDefinitions(tx, [...cut.keys()]);
  const declared = assets.map(({ asset }) => asset);
  await storeAutomation(tx, declared, at.getTime());
  await upsertAssets(tx, assets, at);
  if (cut.size > 0) await recount(tx, changedDefinitions(before, cut), at.getTime());
}
