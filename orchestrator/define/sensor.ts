/**
 * Sensors: code that looks for something now and then (a new file, a row, an answer of an API) and asks for runs. A
 * look is not a run: it leaves no row. What it asks for, its cursor and its state are stored in one transaction, so
 * that a look which is taken twice starts a run once.
 */
import type { SensorEvent, SensorRun } from '../../domain/sensor.ts';
import type { FlowRef, TaskLog } from './context.ts';
import { aboutOf, DEFINITION, type Definition, type Handler, stackHere } from './definition.ts';
import {
  DefinitionError,
  flag,
  inDefinition,
  optional,
  type Read,
  name as readName,
  readOptions,
  spanMs,
  text,
  texts,
} from './options.ts';

export interface SensorOptions {
  /** Time between two looks, at least 1 s; 30 s unless told. */
  readonly every?: string | number;
  /** Workflow of its runs, unless they name another. */
  readonly triggers?: string | FlowRef;
  /** Longest time of one look; 60 s unless told. */
  readonly timeout?: string | number;
  /** Queue of the agents that look; `default` unless told. */
  readonly queue?: string;
  /** True for a sensor without code: each event that is pushed to it starts the workflow with its body as parameters. */
  readonly push?: boolean;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly owners?: readonly string[];
}

export interface SensorContext<S = unknown> {
  /** What the last look gave back as its cursor; null at first. */
  readonly cursor: string | null;
  /** What the last look gave back as its state; null at first. */
  readonly state: S | null;
  /** Events that were pushed since the last look, oldest first; they count as done when the look succeeds. */
  readonly events: readonly SensorEvent[];
  /** Aborted when the look's time is over, or the agent stops. */
  readonly signal: AbortSignal;
  /** `production`, or the environment of a branch. */
  readonly environment: string;
  /** Writes to the agent's log. */
  readonly log: TaskLog;
}

export interface SensorResult<S = unknown> {
  readonly runs?: readonly (Omit<SensorRun, 'workflow'> & {
    readonly workflow?: string | FlowRef;
  })[];
  /** Kept for the next look; stays as it was where it is left out. */
  readonly cursor?: string | null;
  /** As the cursor, of any JSON. */
  readonly state?: S | null;
  /** Why there is nothing to do. */
  readonly skipReason?: string;
}

export interface SensorRef extends Definition {
  readonly name: string;
}

/** Key of the code of a sensor among a definition's handlers. */
export const SENSOR_CODE = 'sensor';

const EVERY_MS = 30_000;
const LEAST_EVERY_MS = 1_000;
const TIMEOUT_MS = 60_000;
const MOST_MS = 86_400_000;

/** Defines a sensor. @param look gives the runs that it asks for, the next cursor and state; needed unless `push` */
export function sensor<S = unknown>(
  name: string,
  options: SensorOptions,
  look?: (
    ctx: SensorContext<S>,
  ) => SensorResult<S> | undefined | Promise<SensorResult<S> | undefined>,
): SensorRef {
  return inDefinition(`sensor ${JSON.stringify(name)}`, () => {
    readName(name);
    const read = readOptions(options, readers);
    if (read.push === (look !== undefined)) {
      throw new DefinitionError(
        read.push ? 'push: takes no function' : 'a function is needed after the options',
      );
    }
    if (look !== undefined && typeof look !== 'function') {
      throw new DefinitionError('a function is needed after the options');
    }
    if (read.push && read.triggers === null) {
      throw new DefinitionError('triggers: a push sensor needs the workflow that it starts');
    }
    return {
      [DEFINITION]: true,
      name,
      described: {
        name,
        kind: 'flow',
        ...aboutOf(read),
        schedule: null,
        parameters: null,
        queue: read.queue,
        maxActiveRuns: null,
        tasks: [],
        asset: null,
        sensor: {
          triggers: read.triggers,
          everyMs: read.every,
          timeoutMs: read.timeout,
          hasCode: look !== undefined,
        },
      },
      handlers: new Map(look === undefined ? [] : [[SENSOR_CODE, look as Handler]]),
      parse: null,
      checks: [],
      inputs: [],
      madeAt: stackHere(),
    };
  });
}

const readers = {
  every: within(EVERY_MS, LEAST_EVERY_MS),
  timeout: within(TIMEOUT_MS, 1),
  triggers: ((value) => (value === undefined || value === null ? null : nameOf(value))) as Read<
    string | null
  >,
  queue: ((value = 'default') => readName(value)) as Read<string>,
  push: flag(false),
  description: optional(text(10_000)),
  tags: texts,
  owners: texts,
};

function within(unlessTold: number, least: number): Read<number> {
  return (value = unlessTold) => {
    const ms = spanMs(value);
    if (ms >= least && ms <= MOST_MS) return ms;
    throw new DefinitionError(`must be from ${least} ms to a day`);
  };
}

function nameOf(value: unknown): string {
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : value;
  if (typeof name === 'string' && name !== '') return name;
  throw new DefinitionError('must be a workflow, or its name');
}
