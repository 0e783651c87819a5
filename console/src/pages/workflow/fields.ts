/**
 * A form for a workflow's parameters, made from its JSON Schema. What is simple becomes a field; a schema with
 * anything else in it is written as JSON, which can say everything.
 */

export interface Field {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'choice';
  readonly integer: boolean;
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
  const fields: Field[] = [];
  for (const [name, property] of Object.entries(properties)) {
    const field = isRecord(property) ? toField(name, property, required.includes(name)) : null;
    if (!field) return null;
    fields.push(field);
  }
  return fields;
}

function toField(name: string, property: Schema, required: boolean): Field | null {
  const initial = property['default'];
  const choices = property['enum'];
  const base = {
    name,
    required,
    integer: property['type'] === 'integer',
    description: typeof property['description'] === 'string' ? property['description'] : '',
    choices: [] as readonly string[],
    initial: initial === undefined ? '' : String(initial),
  };
  if (Array.isArray(choices) && choices.every((choice) => typeof choice === 'string')) {
    return { ...base, kind: 'choice', choices };
  }
  switch (property['type']) {
    case 'string':
      return { ...base, kind: 'text' };
    case 'number':
    case 'integer':
      return { ...base, kind: 'number' };
    case 'boolean':
      return { ...base, kind: 'boolean' };
    default:
      return null;
  }
}

/** Parameters of what was filled in; an empty field is left out, so that its default holds. */
export function parametersOf(
  fields: readonly Field[],
  filled: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  for (const { name, kind, initial } of fields) {
    const text = filled[name] ?? initial;
    if (text === '') continue;
    if (kind === 'number') parameters[name] = Number(text);
    else if (kind === 'boolean') parameters[name] = text === 'true';
    else parameters[name] = text;
  }
  return parameters;
}
