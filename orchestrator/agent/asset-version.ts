/**
 * What becomes of the value that an asset's code made: it is checked, and kept by the asset's IO manager or by
 * Signalbox. A value that a blocking check refuses is never read by anybody.
 */
import type { AssetOutcome, RecordedVersion } from '../../domain/agent-protocol.ts';
import type { StoredColumn, StoredVersion } from '../../domain/asset.ts';
import type { Clock } from '../../domain/time.ts';
import type { TaskLog } from '../define/context.ts';
import type { BoundCheck, Definition } from '../define/definition.ts';
import {
  type IoManager,
  isStream,
  kindOf,
  type Row,
  type StagedVersion,
  type WriteContext,
  type Written,
} from '../define/io.ts';
import { inferColumns, schemaOf } from '../io/columns.ts';
import { type Checked, checkStream, checkValue, Feeding } from './asset-checks.ts';
import { plainJson, throughJson } from './encode.ts';
import type { RunningTask } from './running-task.ts';

/** Rows that the recorded schema follows from, where the IO manager tells none. */
const LOOKED_AT = 1_000;

export interface VersionCalls {
  readonly clock: Clock;
  log(task: RunningTask): TaskLog;
  /** What the last versions of an asset recorded, the newest first. */
  assetHistory(assetKey: string): Promise<readonly RecordedVersion[]>;
  /** Names of the definitions that check this asset, in whichever file. */
  checkNames(assetKey: string): Promise<readonly string[]>;
  /** The code behind a name; undefined where this agent has none. */
  definition(name: string): Promise<Definition | undefined>;
}

export interface KeptVersion {
  /** Result of the task. */
  readonly result: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly checks: AssetOutcome['checks'];
  readonly stored: StoredVersion | null;
}

/** Checks and keeps one version. Where a blocking check refuses it, it is given back as it is and kept nowhere. */
export async function keepVersion(
  task: RunningTask,
  calls: VersionCalls,
  definition: Definition,
  partitionKey: string | undefined,
  value: unknown,
): Promise<KeptVersion> {
  const checks = await allChecks(calls, definition.name, definition.checks);
  const { io = null } = definition;
  const subject = subjectOf(task, calls, definition.name, partitionKey);
  if (io === null) return keepInline(subject, checks, value);
  const context = writeContext(task, calls, definition.name, partitionKey);
  if ('stage' in io) return keepStaged(io, context, subject, checks, value);
  return keepWritten(io, context, subject, checks, value);
}

/** What IO managers are told of a write. */
export function writeContext(
  task: RunningTask,
  calls: VersionCalls,
  assetKey: string,
  partitionKey: string | undefined,
): WriteContext {
  const { runId, attempt } = task.assignment;
  return {
    ...{ assetKey, partitionKey, runId, attempt, versionId: runId },
    ...{ signal: task.signal, log: calls.log(task) },
  };
}

/** Checks of the asset itself, and those of other files that this agent knows. */
export async function allChecks(
  calls: VersionCalls,
  assetKey: string,
  own: readonly BoundCheck[],
): Promise<readonly BoundCheck[]> {
  const names = await calls.checkNames(assetKey);
  if (names.length === 0) return own;
  const others = await Promise.all(names.map((name) => calls.definition(name)));
  const known = new Set(own.map(({ name }) => name));
  const added = others.flatMap((other) => other?.checks ?? []);
  return [...own, ...added.filter(({ name }) => !known.has(name))];
}

/** What checks are told of a value, before it is known. */
export function subjectOf(
  task: RunningTask,
  calls: VersionCalls,
  assetKey: string,
  partitionKey: string | undefined,
): Omit<Checked, 'rows' | 'schema' | 'read'> {
  let history: Promise<readonly RecordedVersion[]> | undefined;
  return {
    ...{ assetKey, partitionKey, signal: task.signal, now: calls.clock.now() },
    history() {
      history ??= calls.assetHistory(assetKey);
      return history;
    },
  };
}

type Subject = ReturnType<typeof subjectOf>;

async function keepInline(
  subject: Subject,
  checks: readonly BoundCheck[],
  value: unknown,
): Promise<KeptVersion> {
  if (isStream(value)) {
    throw new TypeError(
      'rows that come as a stream need an IO manager: give the asset io: jsonFile(…), parquetFile(…), postgresTable(…) or clickhouseTable(…)',
    );
  }
  const { value: plain, json } = plainJson(value);
  const facts = factsOf(plain);
  const bytes = Buffer.byteLength(json ?? JSON.stringify(plain) ?? '');
  const said = await checkValue(checks, plain, { ...subject, ...facts, read: () => plain });
  return { result: plain, metadata: metadataOf(facts, bytes), checks: said, stored: null };
}

async function keepStaged(
  io: Extract<IoManager, { stage: unknown }>,
  context: WriteContext,
  subject: Subject,
  checks: readonly BoundCheck[],
  value: unknown,
): Promise<KeptVersion> {
  let staged: StagedVersion | undefined;
  try {
    const kept = await checkStaged(io, subject, checks, value, async (rows) => {
      staged = await io.stage(context, rows);
      return staged;
    });
    if (isRefused(kept.checks)) {
      await staged?.discard();
      return kept;
    }
    context.signal.throwIfAborted();
    await staged?.publish();
    return kept;
  } catch (error) {
    if (staged) await discardQuietly(staged);
    throw error;
  }
}

/** Lets checks look at a value once it is staged. One that they refuse is stored nowhere. */
export async function checkStaged(
  io: IoManager,
  subject: Subject,
  checks: readonly BoundCheck[],
  value: unknown,
  stage: (value: unknown) => Promise<Pick<StagedVersion, 'written' | 'read'>>,
): Promise<KeptVersion> {
  const tap = isStream(value) ? tapped(value, checks, subject.signal) : null;
  const staged = await stage(tap === null ? value : tap.rows);
  const facts = writtenFacts(staged.written, tap === null ? factsOf(value) : tap.facts());
  const checked = { ...subject, ...facts, read: () => staged.read() };
  const said =
    tap === null
      ? await checkValue(checks, value, checked)
      : await checkStream(checks, checked, tap.feeding);
  const kept = keptBy(io, staged.written, facts, said, tap !== null);
  return isRefused(said) ? { ...kept, stored: null } : kept;
}

/** What went wrong first is what is told. */
async function discardQuietly(staged: StagedVersion): Promise<void> {
  await staged.discard().catch(() => undefined);
}

/** With a manager that writes at once, checks come first. */
async function keepWritten(
  io: Extract<IoManager, { write: unknown }>,
  context: WriteContext,
  subject: Subject,
  checks: readonly BoundCheck[],
  value: unknown,
): Promise<KeptVersion> {
  if (!isStream(value)) {
    const facts = factsOf(value);
    const said = await checkValue(checks, value, { ...subject, ...facts, read: () => value });
    if (isRefused(said)) return { ...keptBy(io, {}, facts, said, false), stored: null };
    context.signal.throwIfAborted();
    const written = readWritten(await io.write(context, value));
    return keptBy(io, written, writtenFacts(written, facts), said, false);
  }
  const blocking = checks.find((check) => check.blocking);
  if (blocking !== undefined) {
    throw new TypeError(
      `the check ${blocking.name} blocks, and an IO manager with write alone has written a stream before it can be checked: give it stage, or return an array`,
    );
  }
  const tap = tapped(value, checks, context.signal);
  const written = readWritten(await io.write(context, tap.rows));
  const facts = writtenFacts(written, tap.facts());
  const { location = {} } = written;
  const read = () => io.read({ ...context, location, schema: facts.schema, stream: true });
  const said = await checkStream(checks, { ...subject, ...facts, read }, tap.feeding);
  return keptBy(io, written, facts, said, true);
}

function readWritten(said: unknown): Written {
  return typeof said === 'object' && said !== null ? (said as Written) : {};
}

export function isRefused(checks: AssetOutcome['checks']): boolean {
  return checks.some((check) => check.blocking && !check.passed);
}

interface Facts {
  readonly rows: number | null;
  readonly schema: readonly StoredColumn[] | null;
}

export function factsOf(value: unknown): Facts {
  return {
    rows: Array.isArray(value) ? value.length : null,
    schema: schemaOf(value, LOOKED_AT),
  };
}

function writtenFacts(written: Written, seen: Facts): Facts {
  return { rows: written.rows ?? seen.rows, schema: written.schema ?? seen.schema };
}

function keptBy(
  io: IoManager,
  written: Written,
  facts: Facts,
  checks: AssetOutcome['checks'],
  stream: boolean,
): KeptVersion {
  const stored = throughJson({
    kind: kindOf(io),
    location: written.location ?? {},
    ...{ rows: facts.rows, sizeBytes: written.sizeBytes ?? null, schema: facts.schema, stream },
  });
  const result = { io: stored.kind, ...stored.location };
  return { result, metadata: metadataOf(facts, stored.sizeBytes), checks, stored };
}

function metadataOf({ rows, schema }: Facts, bytes: number | null): Record<string, unknown> {
  return {
    ...(rows === null ? {} : { rows }),
    ...(bytes === null ? {} : { bytes }),
    ...(schema === null ? {} : { schema: { type: 'json', value: schema } }),
  };
}

/** A stream on its way to the manager, seen by the checks that count. */
function tapped(value: AsyncIterable<Row>, checks: readonly BoundCheck[], signal: AbortSignal) {
  const feeding = new Feeding(checks);
  const first: Row[] = [];
  let rows = 0;
  async function* pass() {
    for await (const row of value) {
      signal.throwIfAborted();
      if (first.length < LOOKED_AT) first.push(row);
      rows += 1;
      feeding.row(row);
      yield row;
    }
  }
  const facts = (): Facts => ({ rows, schema: first.length === 0 ? null : inferColumns(first) });
  return { feeding, facts, rows: pass() };
}
