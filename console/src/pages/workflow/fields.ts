/**
 * A form for a workflow's parameters, made from its JSON Schema. What is simple becomes a field of its kind; a
 * parameter with more to it becomes a field for JSON; a schema that is no list of properties is JSON altogether.
 */
import type { FieldFault } from '../../../../domain/errors.ts';

export interface Field {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'choice' | 'date' | 'json';
  readonly required: boolean;
  readonly description: string;
  readonly choices: readonly string[];
  /** What the field starts with. */
  readonly initial: string;
}

type Schema = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The fields, or null where the schema needs JSON. No schema has no fields. */
export function fieldsOf(schema: Schema | null): Field[] | null {
  if (schema === null) return [];
  const properties = schema['properties'];
  if (!isRecord(properties)) return Object.keys(schema).length === 0 ? [] : null;
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  return Object.entries(properties).map(([name, property]) =>
    toField(name, isRecord(property) ? property : {}, required.includes(name)),
  );
}

function toField(name: string, property: Schema, required: boolean): Field {
  const initial = property['default'];
  const kind = kindOf(property);
  return {
    ...{ name, required, kind },
    description: [property['description'], rangeOf(property)]
      .filter((text) => typeof text === 'string' && text !== '')
      .join(' · '),
    choices: choicesOf(property) ?? [],
    initial:
      initial === undefined
        ? ''
        : kind === 'json'
          ? JSON.stringify(initial, null, 2)
          : String(initial),
  };
}

function kindOf(property: Schema): Field['kind'] {
  const { type, format, enum: choices } = property;
  if (choicesOf(property) !== null) return 'choice';
  if (Array.isArray(choices)) return 'json';
  if (type === 'string') return format === 'date' ? 'date' : 'text';
  if (type === 'number' || type === 'integer') return 'number';
  return type === 'boolean' ? 'boolean' : 'json';
}

/** Texts to choose from: an `enum`, or a union of literals (`Type.Union`, `z.union`). Null where there are none. */
function choicesOf({ enum: choices, anyOf, oneOf }: Schema): readonly string[] | null {
  const union = anyOf ?? oneOf;
  const literals = Array.isArray(union)
    ? union.map((part) => (isRecord(part) ? part['const'] : undefined))
    : [];
  const given: readonly unknown[] = Array.isArray(choices) ? choices : literals;
  const texts = given.filter((choice) => typeof choice === 'string');
  return texts.length > 0 && texts.length === given.length ? texts : null;
}

/** What a number may be, in words. */
function rangeOf({ minimum, maximum }: Schema): string {
  const [least, most] = [minimum, maximum].map((limit) =>
    typeof limit === 'number' ? limit : null,
  );
  if (least != null && most != null) return `${least} to ${most}`;
  if (least != null) return `at least ${least}`;
  return most == null ? '' : `at most ${most}`;
}

export interface Filled {
  readonly parameters: Record<string, unknown>;
  /** What is no JSON; the server judges all else. */
  readonly faults: readonly FieldFault[];
}

/** Parameters of what was filled in; an empty field is left out, so that its default holds. */
export function parametersOf(
  fields: readonly Field[],
  filled: Readonly<Record<string, string>>,
): Filled {
  const parameters: Record<string, unknown> = {};
  const faults: FieldFault[] = [];
  for (const { name, kind, initial } of fields) {
    const text = filled[name] ?? initial;
    if (text.trim() === '') continue;
    if (kind === 'json') {
      const value = parsed(text);
      if (value === undefined) faults.push({ path: `/${escaped(name)}`, message: 'is not JSON' });
      else parameters[name] = value;
    } else if (kind === 'boolean') parameters[name] = text === 'true';
    else parameters[name] = kind === 'number' ? numberOr(text) : text;
  }
  return { parameters, faults };
}

/** All parameters as one JSON text. */
export function parametersOfJson(text: string): Filled {
  const value = text.trim() === '' ? {} : parsed(text);
  if (isRecord(value)) return { parameters: { ...value }, faults: [] };
  const message = value === undefined ? 'is not JSON' : 'must be an object: { "name": value }';
  return { parameters: {}, faults: [{ path: '', message }] };
}

/** What is no number stays a text, so that the server says what it should be. */
function numberOr(text: string): number | string {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const escaped = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');
