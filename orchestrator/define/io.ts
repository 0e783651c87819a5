/**
 * IO managers: where the values of an asset are kept when that is not Signalbox's own store. A manager writes in
 * two steps, so that blocking checks look at a new version before anybody reads it: `stage` puts it where only the
 * writer sees it, `publish` makes it the one that is read, at once and whole. A process that dies in between leaves
 * the version before. Who writes a manager of his own may leave the first step out and give `write` alone: checks
 * look at the value in memory then.
 */
import type { StoredColumn } from '../../domain/asset.ts';
import type { Untyped } from './check.ts';
import type { TaskLog } from './context.ts';
import { DefinitionError } from './options.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface IoContext {
  readonly assetKey: string;
  /** The partition that is written or read; undefined for an asset without partitions. */
  readonly partitionKey: string | undefined;
  /** Aborted when the attempt must stop; nothing may be published afterwards. */
  readonly signal: AbortSignal;
}

export interface WriteContext extends IoContext {
  readonly runId: string;
  readonly attempt: number;
  /** The same for each attempt at the same version: what is written twice under it is the same version. */
  readonly versionId: string;
  readonly log: TaskLog;
}

export interface ReadContext extends IoContext {
  /** What `write` said of the version. */
  readonly location: Readonly<Record<string, unknown>>;
  readonly schema: readonly StoredColumn[] | null;
  /** Whether it was written row by row; then it is read so, as an async iterable. */
  readonly stream: boolean;
}

/** What is recorded with a version, and shown in the catalog. Without secrets: many may read it. */
export interface Written {
  /** JSON by which `read` finds the version. */
  readonly location?: Readonly<Record<string, unknown>>;
  readonly rows?: number;
  readonly sizeBytes?: number;
  readonly schema?: readonly StoredColumn[];
}

/** A version that is written and that nobody reads yet. */
export interface StagedVersion {
  readonly written: Written;
  /** The staged value, for checks; called any number of times, one after the other. */
  read(): unknown;
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** Several partitions that one run makes. */
export interface RangeContext extends Omit<WriteContext, 'partitionKey'> {
  readonly partitionKeys: readonly string[];
}

/** Partitions that are written and that nobody reads yet. */
export interface StagedRange {
  /** Writes one of them; called one after the other. */
  stage(
    partitionKey: string,
    value: Untyped,
  ): Promise<Pick<StagedVersion, 'written'> & { read(): unknown }>;
  /** Makes all of them those that are read, in one step: a reader finds all of them or none. */
  publish(): Promise<void>;
  discard(): Promise<void>;
}

interface Reader {
  /** Stands in the catalog; `custom` unless told. */
  readonly kind?: string;
  read(context: ReadContext): unknown;
  /**
   * The same manager for a branch: it writes to a place of the environment's own, and reads from there. Without it
   * assets that it keeps cannot be made in a branch.
   */
  inEnvironment?(environment: string): IoManager;
}

/** Writes at once. Must leave the last good version where it fails. */
interface Writer extends Reader {
  /** May give a `Written`, which is recorded with the version. */
  write(context: WriteContext, value: Untyped): unknown;
}

/** Writes in two steps. */
interface Stager extends Reader {
  stage(context: WriteContext, value: Untyped): Promise<StagedVersion>;
  /**
   * For a run that makes several partitions. Without it they are published one after the other, and where the run
   * breaks off those that were published are recorded, the others have failed.
   */
  stageRange?(context: RangeContext): Promise<StagedRange>;
}

/** Keeps the values of assets. */
export type IoManager = Writer | Stager;

/** Reads the option `io`. */
export function readIo(value: unknown): IoManager | null {
  if (value === undefined || value === null) return null;
  const { read, write, stage, kind } = (typeof value === 'object' ? value : {}) as {
    readonly [K in 'read' | 'write' | 'stage' | 'kind']?: unknown;
  };
  if (typeof read !== 'function' || (typeof write !== 'function' && typeof stage !== 'function')) {
    throw new DefinitionError(
      'must be jsonFile(…), parquetFile(…), postgresTable(…), clickhouseTable(…), or an object of your own with write(context, value) and read(context)',
    );
  }
  if (kind !== undefined && (typeof kind !== 'string' || kind === '')) {
    throw new DefinitionError('kind must be a short text');
  }
  return value as IoManager;
}

/** The word for a manager in the catalog. */
export function kindOf(io: IoManager): string {
  return io.kind ?? 'custom';
}

/** Rows that come one after the other, as many as there are. */
export function isStream(value: unknown): value is AsyncIterable<Row> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
