/** Checks of assets: they look at a version's value before it becomes the one that others read. */

import type { RecordedVersion } from '../../domain/agent-protocol.ts';
import type { CheckSeverity, StoredColumn } from '../../domain/asset.ts';
import type { BoundCheck } from './definition.ts';
import type { Row } from './io.ts';
import {
  DefinitionError,
  flag,
  inDefinition,
  oneOf,
  type Read,
  name as readName,
  readOptions,
  spanMs,
} from './options.ts';

/** For values whose type only the user's own code knows. */
export type Untyped = ReturnType<typeof JSON.parse>;

/** The type of a checked value where it is known when the check is written. */
type Checked<T> = unknown extends T ? Untyped : T;

export interface CheckOutcome {
  readonly passed: boolean;
  /** Facts for the catalog, e.g. the score that was compared. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface CheckContext {
  readonly assetKey: string;
  readonly partitionKey: string | undefined;
  readonly signal: AbortSignal;
  /** Unix milliseconds. */
  readonly now: number;
  /** What is known of the value without looking at it; null where it is not rows. */
  readonly rows: number | null;
  readonly schema: readonly StoredColumn[] | null;
  /** What versions before this one recorded, the newest first; at most 50. */
  history(): Promise<readonly RecordedVersion[]>;
}

export type CheckWork<T> = (
  value: Checked<T>,
  context: CheckContext,
) => CheckOutcome | boolean | Promise<CheckOutcome | boolean>;

/** Looks at one row after the other, however many there are, and judges at the end. */
export interface RowFold {
  row(row: Row): void;
  end(context: CheckContext): CheckOutcome | Promise<CheckOutcome>;
}

export interface CheckSettings {
  /** Whether the version is refused when the check fails; false unless told. */
  readonly blocking?: boolean;
  /** `error` (unless told) marks the asset as failing, `warn` only tells. */
  readonly severity?: CheckSeverity;
  /** Longest time that it may take, 30 m unless told; one that takes longer has not passed. */
  readonly timeout?: string | number;
}

export interface CheckOptions<T> extends CheckSettings {
  readonly run: CheckWork<T>;
}

/** A check that several assets share. */
export interface Check<T = unknown> extends CheckOptions<T> {
  readonly name: string;
  readonly blocking: boolean;
  readonly severity: CheckSeverity;
  /** For checks that need to see each row once: they are fed while the rows are written. */
  readonly fold?: () => RowFold;
}

/** Longer than any check should take, so that one which hangs holds an asset up for no more. */
export const CHECK_TIMEOUT_MS = 1_800_000;

export const checkReaders = {
  timeout: ((value) => (value === undefined ? CHECK_TIMEOUT_MS : spanMs(value))) as Read<number>,
  blocking: flag(false),
  severity: ((value = 'error') => oneOf('error', 'warn')(value)) as Read<CheckSeverity>,
};

/** Reads the option `checks` of an asset: a list of checks, or an object of them by name. */
export function readChecks(value: unknown = []): readonly BoundCheck[] {
  if (typeof value !== 'object' || value === null) {
    throw new DefinitionError('must be an object of checks by name, or a list of checks');
  }
  const isList = Array.isArray(value);
  const checks = Object.entries(value).map(([place, one]) =>
    inDefinition(isList ? `${Number(place) + 1}.` : place, () =>
      readCheck(isList ? null : place, one),
    ),
  );
  const names = new Set(checks.map((one) => one.name));
  if (names.size < checks.length) throw new DefinitionError('there are two checks of one name');
  return checks;
}

function readCheck(place: string | null, value: unknown): BoundCheck {
  const read = readOptions(value, {
    name: (given: unknown) => readName(given ?? place),
    ...checkReaders,
    run: readWork,
    fold: (fold: unknown) => (typeof fold === 'function' ? (fold as () => RowFold) : null),
  });
  const { timeout, ...rest } = read;
  return { ...rest, timeoutMs: timeout, name: place ?? read.name };
}

export function readWork(run: unknown): BoundCheck['run'] {
  if (typeof run === 'function') return run as BoundCheck['run'];
  throw new DefinitionError('must be a function that looks at the value');
}
