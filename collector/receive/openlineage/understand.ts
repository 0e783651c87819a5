/**
 * An OpenLineage run event as an event of a run like any other: which run of which engine, what piece of work
 * it is (its business key), what it made. Datasets become assets under `<namespace>/<name>`.
 */
import type { ExternalOutput, ExternalRunEvent } from '../../../domain/events.ts';
import { businessKey } from '../../../domain/run.ts';
import { type Fault, type LineageDataset, type RunEvent, TIME_RULE } from './event.ts';
import {
  checksOf,
  errorMessage,
  executionParameters,
  type Fields,
  facet,
  fields,
  nominalStart,
  outputMetadata,
  owners,
} from './facets.ts';

/** `OTHER`, or no type at all, adds to a run without ending it. */
const STATES: Readonly<Record<NonNullable<RunEvent['eventType']>, ExternalRunEvent['state']>> = {
  START: 'running',
  RUNNING: 'running',
  OTHER: 'running',
  COMPLETE: 'succeeded',
  FAIL: 'failed',
  ABORT: 'cancelled',
};

/** Asset key of a dataset. */
export function assetKeyOf(dataset: { namespace: string; name: string }): string {
  return `${dataset.namespace}/${dataset.name}`;
}

/** The run that an event speaks of, or what is wrong with the facets that make its identity. */
export function understandRun(event: RunEvent, at: number): ExternalRunEvent | readonly Fault[] {
  const runFacets = event.run.facets;
  const logicalDate = nominalStart(runFacets);
  if (logicalDate === undefined) {
    return [{ path: '/run/facets/nominalTime/nominalStartTime', message: TIME_RULE }];
  }
  const parentFacet = facet(runFacets, 'parent') ?? facet(runFacets, 'parentRun');
  const parent = parentFacet ? readRunOf(parentFacet) : null;
  if (parent === undefined) {
    return [{ path: '/run/facets/parent', message: 'must name the parent by run.runId and job' }];
  }
  const engine = engineOf(event.job.namespace);
  const parameters = executionParameters(runFacets);
  const outputs = readOutputs(event.outputs ?? []);
  const inputs = event.inputs ?? [];
  return {
    engine,
    externalId: event.run.runId.toLowerCase(),
    job: event.job.name,
    state: event.eventType ? STATES[event.eventType] : 'running',
    at,
    logicalDate,
    parameters,
    parent,
    root: readRunOf(fields(parentFacet?.['root'])) ?? null,
    inputs: [...new Set(inputs.map(assetKeyOf))],
    outputs,
    inputChecks: inputs.flatMap((dataset) => {
      const checks = checksOf(dataset);
      return checks.length > 0 ? [{ assetKey: assetKeyOf(dataset), checks }] : [];
    }),
    error: errorMessage(runFacets),
    owners: owners(event.job.facets),
    businessKey: businessKey({
      engine,
      job: event.job.name,
      logicalDate: logicalDate === null ? null : new Date(logicalDate).toISOString(),
      parameters,
      outputs: outputs.map((output) => output.assetKey),
    }),
  };
}

function engineOf(namespace: string): string {
  return `openlineage:${namespace}`;
}

/** A run by its id and job; undefined where it is not wholly named. */
function readRunOf(of: Fields | undefined): ExternalRunEvent['parent'] | undefined {
  const runId = fields(of?.['run'])?.['runId'];
  const job = fields(of?.['job']);
  const { namespace, name } = job ?? {};
  if (typeof runId !== 'string' || typeof namespace !== 'string' || typeof name !== 'string') {
    return undefined;
  }
  return { engine: engineOf(namespace), externalId: runId.toLowerCase(), job: name };
}

/** A dataset that is named twice is one output. */
function readOutputs(datasets: readonly LineageDataset[]): ExternalOutput[] {
  const outputs = new Map<string, ExternalOutput>();
  for (const dataset of datasets) {
    const assetKey = assetKeyOf(dataset);
    const { rowCount, metadata } = outputMetadata(dataset);
    outputs.set(assetKey, { assetKey, rowCount, metadata, checks: checksOf(dataset) });
  }
  return [...outputs.values()];
}
