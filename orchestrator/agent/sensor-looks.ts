/**
 * Looks of sensors on an agent, beside its tasks: few at a time, each within its timeout. An agent without sensors
 * asks for none. A look that its agent cannot finish is given to another.
 */
import { PRODUCTION } from '../../domain/environment.ts';
import type { Look, LookEnd } from '../../domain/sensor.ts';
import type { TaskLog } from '../define/context.ts';
import type { AgentDefinitions } from '../define/registry.ts';
import type { SensorContext, SensorResult } from '../define/sensor.ts';
import { SENSOR_CODE } from '../define/sensor.ts';
import { throughJson } from './encode.ts';
import { toRunError } from './error-record.ts';
import { Aborted } from './failure.ts';
import { pause, persist, unlessAborted } from './persist.ts';
import type { Transport } from './transport.ts';

export interface LookDeps {
  readonly transport: Pick<Transport, 'claimLooks' | 'endLook'>;
  definitions(): AgentDefinitions;
  log(message: string): void;
}

interface SessionLooks extends LookDeps {
  readonly sessionId: string;
}

const AT_ONCE = 4;
const CLAIM_WAIT_MS = 10_000;
const IDLE_MS = 1_000;
const REFUSED_PAUSE_MS = 1_000;
const MAX_RUNS_SENT = 1_001;

/** Looks until the signal; what is under way then is left to others. */
export async function lookForEver(
  sessionId: string,
  { transport, definitions, log }: LookDeps,
  over: AbortSignal,
): Promise<void> {
  const deps: SessionLooks = { sessionId, transport, definitions, log };
  const running = new Set<Promise<void>>();
  while (!over.aborted) {
    try {
      if (!hasSensors(deps.definitions())) {
        await pause(IDLE_MS, over);
        continue;
      }
      if (running.size >= AT_ONCE) {
        await unlessAborted(Promise.race(running), over);
        continue;
      }
      const request = { capacity: AT_ONCE - running.size, waitMs: CLAIM_WAIT_MS };
      const { looks } = await persist(() => transport.claimLooks(sessionId, request, over), over);
      for (const look of looks) {
        const one = take(deps, look, over)
          .catch((error: unknown) => deps.log(`sensor ${look.sensor}: ${error}`))
          .finally(() => running.delete(one));
        running.add(one);
      }
    } catch (error) {
      if (over.aborted) return;
      deps.log(`looks of sensors were refused: ${error}`);
      await pause(REFUSED_PAUSE_MS, over).catch(() => undefined);
    }
  }
}

function hasSensors({ definitions }: AgentDefinitions): boolean {
  return definitions.some(({ sensor }) => sensor?.hasCode === true);
}

async function take(deps: SessionLooks, look: Look, over: AbortSignal): Promise<void> {
  const { sensor, token } = look;
  const eventIds = look.events.map(({ id }) => id);
  const frame = { sensor, token, eventIds };
  let end: LookEnd;
  try {
    end = { ...frame, ...(await within(look, over, (signal) => run(deps, look, signal))) };
  } catch (error) {
    if (over.aborted) return;
    end = { ...frame, error: toRunError(error) };
  }
  const { outcome, detail } = await persist(
    () => deps.transport.endLook(deps.sessionId, end),
    over,
  );
  if (outcome === 'refused') deps.log(`sensor ${sensor}: ${detail}`);
  if (end.error) deps.log(`sensor ${sensor} failed: ${end.error.message}`);
}

async function within<T>(
  { timeoutMs }: Look,
  over: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const stop = () => own.abort(over.reason);
  const timer = setTimeout(
    () => own.abort(new Aborted('timeout', `the look took longer than ${timeoutMs} ms`)),
    timeoutMs,
  );
  over.addEventListener('abort', stop, { once: true });
  try {
    return await unlessAborted(work(own.signal), own.signal);
  } finally {
    clearTimeout(timer);
    over.removeEventListener('abort', stop);
  }
}

async function run(
  deps: SessionLooks,
  look: Look,
  signal: AbortSignal,
): Promise<Omit<LookEnd, 'sensor' | 'token' | 'eventIds'>> {
  const definition = await deps.definitions().find(look.sensor);
  const code = definition?.handlers.get(SENSOR_CODE);
  if (code === undefined) {
    throw new Error(
      `this agent has no sensor ${look.sensor}: give sensors of other agents a queue of their own`,
    );
  }
  const context: SensorContext = {
    ...{ cursor: look.cursor, state: look.state ?? null, signal },
    environment: look.environment ?? PRODUCTION,
    events: look.events.map(({ key, body, at }) => ({ key, body, at })),
    log: logOf(look.sensor, deps.log),
  };
  const handler = code as unknown as (context: SensorContext) => Promise<SensorResult | undefined>;
  const given = (await handler(context)) ?? {};
  refuseOther(given);
  const {
    runs = [],
    cursor,
    state,
    skipReason,
  } = throughJson({
    ...given,
    runs: (given.runs ?? []).slice(0, MAX_RUNS_SENT).map(withName),
  });
  return {
    runs,
    ...(cursor === undefined ? {} : { cursor: cursor === null ? null : String(cursor) }),
    ...(state === undefined ? {} : { state }),
    ...(skipReason === undefined ? {} : { skipReason: String(skipReason) }),
  };
}

const GIVEN = ['runs', 'cursor', 'state', 'skipReason'];

/** @throws Error for what a sensor cannot give: a misspelt `skip` or `run` would do nothing, and nobody would know */
function refuseOther(given: object): void {
  const isOther = typeof given !== 'object' || Array.isArray(given);
  const unknown = isOther ? [] : Object.keys(given).filter((name) => !GIVEN.includes(name));
  if (!isOther && unknown.length === 0) return;
  const what = unknown.map((name) => JSON.stringify(name)).join(', ');
  throw new Error(
    `a sensor gives { ${GIVEN.join(', ')} }${what === '' ? '' : `; ${what} is none of them`}`,
  );
}

/** A workflow may be named by what defines it. */
function withName(run: NonNullable<SensorResult['runs']>[number]) {
  const { workflow, ...rest } = run;
  if (workflow === undefined) return rest;
  return { ...rest, workflow: typeof workflow === 'string' ? workflow : workflow.name };
}

function logOf(sensor: string, log: (message: string) => void): TaskLog {
  const write = (level: string) => (message: string, attributes?: object) =>
    log(
      `sensor ${sensor}: ${level === 'info' ? '' : `${level}: `}${message}${attributes ? ` ${JSON.stringify(attributes)}` : ''}`,
    );
  return {
    debug: () => undefined,
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
}
