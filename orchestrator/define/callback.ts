/**
 * Callbacks of workflows, flows and tasks as they are written down. Their code runs in runs of a workflow beside
 * their own (`NAME:callbacks`), so that it has agents, retries, a time limit and a log, and outlives whatever failed.
 */
import type { CallbackDefinition, CallbackEvent, CallbackOutcome } from '../../domain/callback.ts';
import { type FlowContext, NoRetryError } from './context.ts';
import { DEFINITION, type Definition, type Handler } from './definition.ts';
import { DefinitionError, type Read } from './options.ts';

/** Code of a callback. It may come more than once for one event; `event.key` tells. */
export type Callback = (event: CallbackEvent, ctx: FlowContext<unknown>) => unknown;

const WEBHOOK = Symbol.for('signalbox.webhook');

/** An address that is told by a POST of a CloudEvent. */
export interface Webhook {
  readonly [WEBHOOK]: true;
  readonly url: string;
}

type Callbacks = Callback | Webhook | readonly (Callback | Webhook)[];

/** Code, or addresses, that are told what became of it, after it was recorded. */
export interface CallbackOptions {
  readonly onSuccess?: Callbacks;
  /** It failed, and is not tried again. */
  readonly onFailure?: Callbacks;
  /** An attempt failed, and another one follows. */
  readonly onRetry?: Callbacks;
  readonly onSkipped?: Callbacks;
  readonly onCancelled?: Callbacks;
  /** A deadline was missed. */
  readonly onDeadline?: Callbacks;
}

/** Of assets that have automation. */
export interface HeldOptions {
  /** Automation has held it back for `tellAfter` (a day unless told); told again as long as that lasts. */
  readonly onHeld?: Callbacks;
}

const OUTCOMES: Readonly<Record<keyof CallbackOptions, CallbackOutcome>> = {
  onSuccess: 'succeeded',
  onFailure: 'failed',
  onRetry: 'retry',
  onSkipped: 'skipped',
  onCancelled: 'cancelled',
  onDeadline: 'deadline',
};
const NAMES = Object.keys(OUTCOMES) as readonly (keyof CallbackOptions)[];
const MAX_CALLBACKS = 10;
const MAX_URL = 2_000;
const SUFFIX = ':callbacks';
const RETRIES = 3;
const RETRY_DELAY_MS = 5_000;
const RETRY_MAX_DELAY_MS = 300_000;
const TIMEOUT_MS = 300_000;
/** Key of the one task of a flow. */
const TASK = 'flow';

/**
 * An address that is told by a POST of a CloudEvent (structured mode). The server sends it, tries again where that
 * fails, and sends only to addresses that its settings allow.
 */
export function webhook(url: string): Webhook {
  if (typeof url !== 'string' || url.length > MAX_URL || !isHttp(url)) {
    throw new DefinitionError('a webhook needs a URL that begins with http:// or https://');
  }
  return { [WEBHOOK]: true, url };
}

function isHttp(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

const readCallbacks: Read<readonly (Callback | Webhook)[]> = (value) => {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > MAX_CALLBACKS) {
    throw new DefinitionError(`must be at most ${MAX_CALLBACKS} callbacks`);
  }
  return list.map((one) => {
    if (typeof one === 'function') return one as Callback;
    if (typeof one === 'object' && one !== null && WEBHOOK in one) return one as Webhook;
    throw new DefinitionError('must be a function, webhook(url), or a list of them');
  });
};

type ReadCallbackOptions = Readonly<Record<keyof CallbackOptions, readonly (Callback | Webhook)[]>>;

export const callbackReaders: {
  readonly [K in keyof ReadCallbackOptions]: Read<ReadCallbackOptions[K]>;
} = {
  onSuccess: readCallbacks,
  onFailure: readCallbacks,
  onRetry: readCallbacks,
  onSkipped: readCallbacks,
  onCancelled: readCallbacks,
  onDeadline: readCallbacks,
};

export const heldReaders = { onHeld: readCallbacks };

/** A callback with its code, if it has any. */
export interface DeclaredCallback {
  readonly definition: CallbackDefinition;
  readonly code: Callback | null;
}

/**
 * The callbacks that options declare.
 * @param task key of the task that they are of; undefined for the run
 */
export function callbacksOf(read: ReadCallbackOptions, task?: string): readonly DeclaredCallback[] {
  return NAMES.flatMap((option) => declared(read[option], option, OUTCOMES[option], task));
}

/** Those of an asset that is held back. @param key of the asset */
export function heldCallbacksOf(
  { onHeld }: { readonly onHeld: readonly (Callback | Webhook)[] },
  key: string,
): readonly DeclaredCallback[] {
  return declared(onHeld, 'onHeld', 'held', key);
}

function declared(
  given: readonly (Callback | Webhook)[],
  option: string,
  on: CallbackOutcome,
  task: string | undefined,
): readonly DeclaredCallback[] {
  return given.map((one, index): DeclaredCallback => {
    const name = `${task === undefined ? '' : `${task}.`}${option}${index === 0 ? '' : `-${index + 1}`}`;
    const common = { name, on, ...(task === undefined ? {} : { task }) };
    return typeof one === 'function'
      ? { definition: common, code: one }
      : { definition: { ...common, url: one.url }, code: null };
  });
}

/** The workflow whose runs run the code of callbacks; none where there is no code. */
export function callbackFlow(
  of: { readonly name: string; readonly queue: string; readonly madeAt: string },
  declared: readonly DeclaredCallback[],
): readonly Definition[] {
  const code = new Map(
    declared.flatMap(({ definition, code: run }) => (run ? [[definition.name, run]] : [])),
  );
  if (code.size === 0) return [];
  const handler = async (ctx: FlowContext<unknown>) => {
    const { callback, event } = ctx.parameters as { callback: string; event: CallbackEvent };
    const run = code.get(callback);
    if (!run) throw new NoRetryError(`${of.name} has no callback ${callback} any more`);
    await run(event, ctx);
  };
  const name = `${of.name}${SUFFIX}`;
  return [
    {
      [DEFINITION]: true,
      name,
      described: {
        ...{ name, kind: 'flow', callbacksOf: of.name, queue: of.queue, tags: [], owners: [] },
        ...{ schedule: null, parameters: null, maxActiveRuns: null, asset: null },
        tasks: [
          {
            ...{ key: TASK, after: [], retries: RETRIES, retryDelayMs: RETRY_DELAY_MS },
            ...{ retryBackoff: 2, retryMaxDelayMs: RETRY_MAX_DELAY_MS, timeoutMs: TIMEOUT_MS },
            ...{ pool: null, poolSlots: 1, priority: 0, idempotent: false },
          },
        ],
      },
      handlers: new Map([[TASK, handler as Handler]]),
      parse: null,
      checks: [],
      inputs: [],
      madeAt: of.madeAt,
    },
  ];
}

/** What options declare beside the tasks, as a definition says it. */
export function describedCallbacks(declared: readonly DeclaredCallback[]): {
  readonly callbacks?: readonly CallbackDefinition[];
} {
  return declared.length === 0 ? {} : { callbacks: declared.map(({ definition }) => definition) };
}
