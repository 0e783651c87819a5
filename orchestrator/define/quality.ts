/** Ready-made checks that look at a version as a whole: its schema, and a score that the user's own code gives. */
import type { StoredColumn } from '../../domain/asset.ts';
import type { Check, CheckContext, Untyped } from './check.ts';
import { checkReaders } from './check.ts';
import { DefinitionError, factor, inDefinition, name as readName, readOptions } from './options.ts';
import type { ThresholdSettings } from './thresholds.ts';

const settings = {
  ...checkReaders,
  name: (value: unknown) => (value === undefined ? null : readName(value)),
};

/** A score from 0 to 1 that the code gives of the value must reach a least one. */
export function qualityScore<T = Untyped>(
  options: ThresholdSettings & {
    readonly min: number;
    readonly score: (value: T, context: CheckContext) => number | Promise<number>;
  },
): Check<T> {
  return inDefinition('qualityScore', () => {
    const read = readOptions(options, {
      ...settings,
      min: factor(0, 1, 1),
      score: (value: unknown) => {
        if (typeof value === 'function') return value as typeof options.score;
        throw new DefinitionError('must be a function that gives a number from 0 to 1');
      },
    });
    const run = async (value: unknown, context: CheckContext) => {
      const score: unknown = await read.score(value as T, context);
      if (typeof score !== 'number' || !(score >= 0 && score <= 1)) {
        throw new RangeError(`a score is a number from 0 to 1, and this one is ${String(score)}`);
      }
      return { passed: score >= read.min, metadata: { score, min: read.min } };
    };
    const { blocking, severity, timeout } = read;
    return {
      name: read.name ?? 'quality-score',
      blocking,
      severity,
      timeout,
      run: run as Check<T>['run'],
    };
  });
}

/** The columns and their types must be those of the version before. The first version passes. */
export function schemaUnchanged(
  options: ThresholdSettings & { readonly allowAdded?: boolean } = {},
): Check<Untyped> {
  return inDefinition('schemaUnchanged', () => {
    const read = readOptions(options, {
      ...settings,
      allowAdded: (value: unknown) => value === true,
    });
    const run = async (_value: unknown, context: CheckContext) => {
      const { schema } = context;
      if (schema === null) throw new TypeError('the value has no columns: it is no list of rows');
      const versions = await context.history();
      const before = versions.map(({ metadata }) => schemaIn(metadata)).find((one) => one !== null);
      if (before === undefined || before === null) return { passed: true, metadata: { schema } };
      const change = compareSchemas(before, schema);
      const { added, removed, retyped } = change;
      const passed =
        removed.length === 0 && retyped.length === 0 && (added.length === 0 || read.allowAdded);
      return { passed, metadata: { ...change } };
    };
    const { blocking, severity, timeout } = read;
    return { name: read.name ?? 'schema-unchanged', blocking, severity, timeout, run };
  });
}

/** The columns that a version recorded. */
function schemaIn(metadata: Readonly<Record<string, unknown>>): readonly StoredColumn[] | null {
  const { schema } = metadata;
  const columns: unknown =
    typeof schema === 'object' && schema !== null && 'value' in schema ? schema.value : schema;
  return Array.isArray(columns) ? (columns as readonly StoredColumn[]) : null;
}

function compareSchemas(before: readonly StoredColumn[], after: readonly StoredColumn[]) {
  const was = new Map(before.map(({ name, type }) => [name, type]));
  const is = new Map(after.map(({ name, type }) => [name, type]));
  return {
    added: after.filter(({ name }) => !was.has(name)).map(({ name }) => name),
    removed: before.filter(({ name }) => !is.has(name)).map(({ name }) => name),
    retyped: after.flatMap(({ name, type }) => {
      const old = was.get(name);
      return old === undefined || old === type ? [] : [{ name, before: old, after: type }];
    }),
  };
}
