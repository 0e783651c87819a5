/**
 * Parameters by schema. JSON Schema is what is stored and checked; schemas of TypeBox are that already, and
 * those of Zod and of other libraries are turned into it by the Standard JSON Schema interface. The types of
 * the parameters follow from the schema in each case.
 */
import type { Static, TSchema } from 'typebox';
import { DefinitionError } from './options.ts';

/** Part of the Standard Schema interface (https://standardschema.dev), which Zod, Valibot and ArkType share. */
interface StandardSchema<Input, Output> {
  readonly '~standard': {
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** A JSON Schema, or a schema object of TypeBox or Zod. */
export type ParameterSchema = object;

/** The type of the parameters that a schema admits, defaults filled in. */
export type Parameters<S> =
  S extends StandardSchema<infer _Input, infer Output>
    ? Output
    : S extends { readonly '~kind': string } & TSchema
      ? Static<S>
      : S extends { readonly static: infer Output }
        ? Output
        : FromJsonSchema<S, 'filled'>;

/**
 * The type of the parameters that whoever starts a run gives: what has a default may be left out. A TypeBox schema does
 * not say in its type what has one, so there anything may be left out; the server tells what is missing.
 */
export type GivenParameters<S> =
  S extends StandardSchema<infer Input, infer _Output>
    ? Input
    : S extends { readonly '~kind': string } & TSchema
      ? Partial<Static<S>>
      : S extends { readonly static: infer Output }
        ? Partial<Output>
        : FromJsonSchema<S, 'given'>;

/** Whether defaults are filled in. */
type Side = 'filled' | 'given';

type FromJsonSchema<S, D extends Side> = S extends { readonly const: infer Value }
  ? Value
  : S extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : S extends { readonly anyOf: readonly (infer Part)[] }
      ? OneOf<Part, D>
      : S extends { readonly oneOf: readonly (infer Part)[] }
        ? OneOf<Part, D>
        : S extends { readonly type: infer Type }
          ? FromType<S, Type extends readonly (infer One)[] ? One : Type, D>
          : unknown;

type OneOf<Part, D extends Side> = Part extends unknown ? FromJsonSchema<Part, D> : never;

type FromType<S, Type, D extends Side> = Type extends 'string'
  ? string
  : Type extends 'number' | 'integer'
    ? number
    : Type extends 'boolean'
      ? boolean
      : Type extends 'null'
        ? null
        : Type extends 'array'
          ? S extends { readonly items: infer Items }
            ? FromJsonSchema<Items, D>[]
            : unknown[]
          : Type extends 'object'
            ? S extends { readonly properties: infer Properties }
              ? FromProperties<Properties, There<S, Properties, D>, D>
              : Record<string, unknown>
            : unknown;

type FromProperties<Properties, There, D extends Side> = Flat<
  {
    -readonly [K in keyof Properties as K extends There ? K : never]: FromJsonSchema<
      Properties[K],
      D
    >;
  } & {
    -readonly [K in keyof Properties as K extends There ? never : K]?: FromJsonSchema<
      Properties[K],
      D
    >;
  }
>;

/** Properties that are always there: those required, and those with a default once it is filled in. */
type There<S, Properties, D extends Side> = D extends 'filled'
  ? Required<S> | WithDefault<Properties>
  : Exclude<Required<S>, WithDefault<Properties>>;

type Required<S> = S extends { readonly required: readonly (infer Name)[] } ? Name : never;

type WithDefault<Properties> = {
  [K in keyof Properties]: Properties[K] extends { readonly default: unknown } ? K : never;
}[keyof Properties];

type Flat<T> = { [K in keyof T]: T[K] };

/** A schema as it is stored, and what turns JSON into the values that the library's types promise. */
export interface ReadSchema {
  readonly jsonSchema: Readonly<Record<string, unknown>> | null;
  readonly parse: ((parameters: unknown) => unknown) | null;
}

const TARGET = { target: 'draft-2020-12' } as const;

/** Types of Zod that no JSON is of. */
const NOT_JSON = new Set(['date', 'bigint', 'symbol', 'undefined', 'void', 'nan', 'map', 'set']);

const DATE_OR_TIME = { type: 'string', anyOf: [{ format: 'date-time' }, { format: 'date' }] };

/** Zod refuses whatever JSON has no type for. What it makes out of JSON by itself (`z.coerce.date()`) is let through. */
const ZOD_OPTIONS = {
  unrepresentable: 'any',
  override({ zodSchema, jsonSchema, path = [] }: ZodOverride): void {
    const { type = '', coerce } = zodSchema._zod?.def ?? {};
    if (!NOT_JSON.has(type)) return;
    if (coerce !== true) {
      const place = path.filter((part) => part !== 'properties').join('/');
      throw new DefinitionError(
        `/${place} is a ${type}, which cannot come as JSON: take z.coerce.${type}() where there is one, or a text`,
      );
    }
    if (type === 'date') Object.assign(jsonSchema, DATE_OR_TIME);
  },
} as const;

interface ZodOverride {
  readonly zodSchema: {
    readonly _zod?: { readonly def?: { readonly type?: string; readonly coerce?: boolean } };
  };
  readonly jsonSchema: object;
  readonly path?: readonly (string | number)[];
}

/** @throws DefinitionError where the value is no schema of an object */
export function readSchema(schema: unknown): ReadSchema {
  if (schema === undefined) return { jsonSchema: null, parse: null };
  if (!isRecord(schema)) throw new DefinitionError('a schema is needed');
  const standard = isRecord(schema['~standard']) ? schema['~standard'] : null;
  const json = standard === null ? schema : standardToJson(schema, standard);
  const jsonSchema = plainObject(json);
  if (jsonSchema.type !== 'object') {
    throw new DefinitionError('the schema must be of type "object"');
  }
  return { jsonSchema, parse: standard === null ? null : parserOf(standard) };
}

function standardToJson(
  schema: Record<string, unknown>,
  standard: Record<string, unknown>,
): unknown {
  if (isRecord(standard.jsonSchema) && typeof standard.jsonSchema.input === 'function') {
    return standard.jsonSchema.input({ ...TARGET, libraryOptions: ZOD_OPTIONS });
  }
  if (typeof schema.toJSONSchema === 'function') {
    return schema.toJSONSchema({ io: 'input', ...ZOD_OPTIONS });
  }
  throw new DefinitionError(
    'this schema library gives no JSON Schema (it needs the Standard JSON Schema interface)',
  );
}

/** Drops what is not JSON (symbols, functions of TypeBox) and refuses what cannot be. */
function plainObject(value: unknown): Record<string, unknown> {
  try {
    const plain: unknown = JSON.parse(JSON.stringify(value));
    if (isRecord(plain)) return plain;
  } catch (error) {
    throw new DefinitionError(`the schema is not JSON: ${String(error)}`);
  }
  throw new DefinitionError('a schema is needed');
}

function parserOf(standard: Record<string, unknown>): (parameters: unknown) => unknown {
  const { validate } = standard;
  if (typeof validate !== 'function') {
    throw new DefinitionError('parameters: the schema cannot validate');
  }
  return async (parameters) => {
    const outcome: unknown = await validate(parameters);
    if (!isRecord(outcome)) return parameters;
    if (Array.isArray(outcome.issues)) {
      const issues = outcome.issues.map(describeIssue);
      throw new DefinitionError(`the parameters do not match the schema: ${issues.join('; ')}`);
    }
    return outcome.value;
  };
}

/** What a library says is wrong, behind the path of it, as the server tells faults: `/list/0/k must be even`. */
function describeIssue(issue: unknown): string {
  if (!isRecord(issue)) return String(issue);
  const path = Array.isArray(issue.path) ? issue.path : [];
  const keys = path.map((part: unknown) => String(isRecord(part) ? part.key : part));
  return [...(keys.length === 0 ? [] : [`/${keys.join('/')}`]), String(issue.message)].join(' ');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null;
}
