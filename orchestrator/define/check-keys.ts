/**
 * Concurrency keys name parameters. One that the schema does not have would be an empty text for each run, and all
 * of them would share one key without a word.
 */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import { DefinitionError, nearest } from './options.ts';

const PARAMETER = /\$\{\s*parameters\.([\w-]+)[^}]*\}/g;
/** Keywords behind which other properties may stand. */
const OPEN = [
  ...['$ref', '$dynamicRef', 'anyOf', 'oneOf', 'allOf', 'not', 'if', 'dependentSchemas'],
  ...['patternProperties', 'unevaluatedProperties'],
];

type Described = Omit<WorkflowDefinition, 'file'>;

/** @throws DefinitionError that names the parameter, where its schema has no such property */
export function checkKeys({ name, parameters, concurrency, tasks }: Described): void {
  const known = propertiesOf(parameters);
  if (known === null) return;
  const keys = [
    { place: name, key: concurrency?.key },
    ...tasks.map((task) => ({ place: `${name}: task ${task.key}`, key: task.concurrency?.key })),
  ];
  for (const { place, key = '' } of keys) {
    for (const [, parameter = ''] of key.matchAll(PARAMETER)) {
      if (known.includes(parameter)) continue;
      const close = nearest(parameter, known);
      const list = known.length === 0 ? 'it has none' : `known are ${known.join(', ')}`;
      const hint = close === undefined ? list : `did you mean "${close}"?`;
      throw new DefinitionError(
        `${place}: concurrency: key: there is no parameter "${parameter}"; ${hint}`,
      );
    }
  }
}

/** The only properties that parameters can have; null where there may be others. */
function propertiesOf(schema: WorkflowDefinition['parameters']): readonly string[] | null {
  if (schema === null || OPEN.some((keyword) => keyword in schema)) return null;
  const { properties, additionalProperties } = schema;
  if (additionalProperties !== undefined && additionalProperties !== false) return null;
  if (typeof properties === 'object' && properties !== null) return Object.keys(properties);
  return additionalProperties === false ? [] : null;
}
