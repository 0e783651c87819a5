/**
 * What facets say, read leniently: a facet is an addition to an event, and one that is deleted, of another form
 * than its schema, or unknown says nothing. Only those that make a run's identity must be right (see `understand`).
 */
import type { ExternalCheck } from '../../../domain/events.ts';
import { readTime } from './event.ts';

export type Fields = Readonly<Record<string, unknown>>;
type Facets = Fields | undefined;

const MAX_ERROR_LENGTH = 10_000;
const MAX_CHECKS = 1_000;
const MAX_COLUMNS = 2_000;

/** The object under a name; undefined where there is none, or where it is marked as deleted. */
export function facet(facets: Facets, name: string): Fields | undefined {
  const found = fields(facets?.[name]);
  return found?.['_deleted'] === true ? undefined : found;
}

/** A value as an object's fields. */
export function fields(value: unknown): Fields | undefined {
  const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
  return isObject ? (value as Fields) : undefined;
}

function listOf(value: unknown, limit: number): Fields[] {
  if (!Array.isArray(value)) return [];
  return value
    .slice(0, limit)
    .map(fields)
    .filter((each) => each !== undefined);
}

/** Parameters of the run by key. */
export function executionParameters(facets: Facets): Fields {
  const parameters: Record<string, unknown> = Object.create(null);
  const all = listOf(facet(facets, 'executionParameters')?.['parameters'], MAX_CHECKS);
  for (const { key, value } of all) {
    if (typeof key === 'string') parameters[key] = value ?? null;
  }
  return { ...parameters };
}

export function errorMessage(facets: Facets): string | null {
  const message = facet(facets, 'errorMessage')?.['message'];
  return typeof message === 'string' ? message.slice(0, MAX_ERROR_LENGTH) : null;
}

export function owners(facets: Facets): string[] {
  const names = listOf(facet(facets, 'ownership')?.['owners'], MAX_CHECKS).map(
    (owner) => owner['name'],
  );
  return [...new Set(names.filter((name) => typeof name === 'string' && name !== ''))] as string[];
}

/** Assertions about a dataset, wherever the producer put them; a name that comes twice counts once. */
export function checksOf(dataset: {
  facets?: Facets;
  inputFacets?: Facets;
  outputFacets?: Facets;
}): ExternalCheck[] {
  const checks = new Map<string, ExternalCheck>();
  for (const facets of [dataset.facets, dataset.inputFacets, dataset.outputFacets]) {
    const all = listOf(facet(facets, 'dataQualityAssertions')?.['assertions'], MAX_CHECKS);
    for (const { success, ...rest } of all) {
      if (typeof success !== 'boolean') continue;
      const name = checkName(rest);
      if (name !== '') checks.set(name, { name, passed: success, metadata: rest });
    }
  }
  return [...checks.values()];
}

function checkName({ name, assertion, column }: Fields): string {
  if (typeof name === 'string' && name !== '') return name;
  if (typeof assertion !== 'string') return '';
  return typeof column === 'string' ? `${assertion} ${column}` : assertion;
}

/** Columns by name and type; null where the facet is absent. */
export function schemaOf(facets: Facets): { name: string; type: string | null }[] | null {
  const schema = facet(facets, 'schema');
  if (!schema) return null;
  return listOf(schema['fields'], MAX_COLUMNS).flatMap(({ name, type }) =>
    typeof name === 'string' ? [{ name, type: typeof type === 'string' ? type : null }] : [],
  );
}

/** What is worth keeping with a version of a dataset. */
export function outputMetadata(dataset: { facets?: Facets; outputFacets?: Facets }): {
  rowCount: number | null;
  metadata: Fields;
} {
  const statistics = facet(dataset.outputFacets, 'outputStatistics');
  const rowCount = countOf(statistics?.['rowCount']);
  const found = {
    rowCount,
    sizeBytes: countOf(statistics?.['size']),
    fileCount: countOf(statistics?.['fileCount']),
    version: textOf(facet(dataset.facets, 'version')?.['datasetVersion']),
    lifecycle: textOf(facet(dataset.facets, 'lifecycleStateChange')?.['lifecycleStateChange']),
    schema: schemaOf(dataset.facets),
  };
  const said = Object.entries(found).filter(([, value]) => value !== null);
  return { rowCount, metadata: Object.fromEntries(said) };
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** Start of the run's nominal time: null where none is said, undefined where it is no time. */
export function nominalStart(facets: Facets): number | null | undefined {
  const nominal = facet(facets, 'nominalTime');
  if (!nominal) return null;
  return readTime(nominal['nominalStartTime']) ?? undefined;
}
