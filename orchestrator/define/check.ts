/** Checks of assets: they look at a version's value before it becomes the one that others read. */
import type { BoundCheck } from './definition.ts';
import { DefinitionError, flag, inDefinition, name as readName, readOptions } from './options.ts';

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
  readonly signal: AbortSignal;
}

type CheckWork<T> = (
  value: Checked<T>,
  context: CheckContext,
) => CheckOutcome | boolean | Promise<CheckOutcome | boolean>;

export interface CheckOptions<T> {
  /** Whether the version is refused when the check fails; false unless told. */
  readonly blocking?: boolean;
  readonly run: CheckWork<T>;
}

/** A check that several assets share. */
export interface Check<T = unknown> extends CheckOptions<T> {
  readonly name: string;
  readonly blocking: boolean;
}

/** Defines a check that stands by itself: `checks: [notEmpty]`. */
export function check<T>(
  name: string,
  options: { readonly blocking?: boolean },
  run: CheckWork<T>,
): Check<T> {
  return inDefinition(`check ${JSON.stringify(name)}`, () => {
    const { blocking } = readOptions(options, { blocking: flag(false) });
    return { name: readName(name), blocking, run: readWork(run) as CheckWork<T> };
  });
}

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
    blocking: flag(false),
    run: readWork,
  });
  return { ...read, name: place ?? read.name };
}

function readWork(run: unknown): BoundCheck['run'] {
  if (typeof run === 'function') return run as BoundCheck['run'];
  throw new DefinitionError('must be a function that looks at the value');
}
