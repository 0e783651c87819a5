/**
 * OpenLineage 2-0-2 as it comes in: run, job and dataset events. What names a thing is checked; facets are open
 * by design and stay as they came, to be read where they are needed. `producer` and `schemaURL`, which nothing
 * here depends on, may be missing.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { type Static, Type } from 'typebox';
import { isInCalendar } from '../../../domain/time.ts';

const NAME_LENGTH = 2_048;
const MAX_DATASETS = 10_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Faults of one event that are told. */
const MAX_FAULTS = 10;

const Name = Type.String({ minLength: 1, maxLength: NAME_LENGTH });
/** What stands in front of all names of an environment of a branch is no name of a job or a dataset. */
const Unreserved = Type.String({ minLength: 1, maxLength: NAME_LENGTH, pattern: '^[^~]' });
const Facets = Type.Optional(Type.Record(Type.String(), Type.Unknown()));

const Dataset = Type.Object({
  namespace: Unreserved,
  name: Name,
  facets: Facets,
  inputFacets: Facets,
  outputFacets: Facets,
});
const Datasets = Type.Optional(Type.Array(Dataset, { maxItems: MAX_DATASETS }));
const Job = Type.Object({ namespace: Name, name: Unreserved, facets: Facets });
const Run = Type.Object({ runId: Type.String({ format: 'uuid' }), facets: Facets });

const EventType = Type.Enum(['START', 'RUNNING', 'COMPLETE', 'ABORT', 'FAIL', 'OTHER']);

const EVENT_TIME = { eventTime: Type.String({ maxLength: 64 }) };
const RunEvent = Type.Object({
  ...EVENT_TIME,
  eventType: Type.Optional(EventType),
  run: Run,
  job: Job,
  inputs: Datasets,
  outputs: Datasets,
});
const JobEvent = Type.Object({ ...EVENT_TIME, job: Job, inputs: Datasets, outputs: Datasets });
const DatasetEvent = Type.Object({ ...EVENT_TIME, dataset: Dataset });

export type LineageDataset = Static<typeof Dataset>;
export type RunEvent = Static<typeof RunEvent>;
type JobEvent = Static<typeof JobEvent>;
type DatasetEvent = Static<typeof DatasetEvent>;

/** An event that is what it should be, with its time. */
export type LineageEvent = { readonly at: number } & (
  | { readonly kind: 'run'; readonly event: RunEvent }
  | { readonly kind: 'job'; readonly event: JobEvent }
  | { readonly kind: 'dataset'; readonly event: DatasetEvent }
);

/** What is wrong, and where (JSON Pointer). */
export interface Fault {
  readonly path: string;
  readonly message: string;
}

const ajv = new Ajv({ allErrors: true, formats: { uuid: UUID } });
const validate = {
  run: ajv.compile<RunEvent>(RunEvent),
  job: ajv.compile<JobEvent>(JobEvent),
  dataset: ajv.compile<DatasetEvent>(DatasetEvent),
};

/** Reads one event, or says all that is wrong with it. */
export function readEvent(raw: unknown): LineageEvent | readonly Fault[] {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
    return [{ path: '', message: 'must be an object' }];
  }
  const kind = kindOf(raw);
  if (kind === 'run') {
    return checked(raw, validate.run, (event, at) => ({ kind, event, at }));
  }
  if (kind === 'job') {
    return checked(raw, validate.job, (event, at) => ({ kind, event, at }));
  }
  return checked(raw, validate.dataset, (event, at) => ({ kind, event, at }));
}

/** An event says by its parts what it is; one that has none of them is a run event without its run. */
function kindOf(raw: object): LineageEvent['kind'] {
  if ('run' in raw || 'eventType' in raw) return 'run';
  if ('dataset' in raw) return 'dataset';
  return 'job' in raw ? 'job' : 'run';
}

function checked<T extends { eventTime: string }>(
  raw: object,
  valid: ValidateFunction<T>,
  make: (event: T, at: number) => LineageEvent,
): LineageEvent | readonly Fault[] {
  if (!valid(raw)) return (valid.errors ?? []).slice(0, MAX_FAULTS).map(toFault);
  const at = readTime(raw.eventTime);
  return at === null ? [{ path: '/eventTime', message: TIME_RULE }] : make(raw, at);
}

function toFault(error: ErrorObject): Fault {
  if (error.keyword === 'required') {
    const field = String(error.params['missingProperty']);
    return { path: `${error.instancePath}/${field}`, message: 'is missing' };
  }
  return { path: error.instancePath, message: error.message ?? 'is not valid' };
}

export const TIME_RULE = 'must be a time in RFC 3339 between the years 2000 and 2200';

const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?$/i;
const EARLIEST_MS = Date.UTC(2000, 0);
const LATEST_MS = Date.UTC(2200, 0);

/** A time in milliseconds since the epoch, UTC where it names no zone; null where it is none. */
export function readTime(text: unknown): number | null {
  const match = typeof text === 'string' ? TIME.exec(text) : null;
  if (!match || !isInCalendar(match[0])) return null;
  const at = Date.parse(match[3] === undefined ? `${match[0]}Z` : match[0]);
  return at >= EARLIEST_MS && at < LATEST_MS ? at : null;
}
