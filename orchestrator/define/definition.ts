/**
 * What `workflow`, `flow` and `asset` make. It is told by a registered symbol and not by its class: a user's
 * project may have installed a copy of the package of its own.
 */
import type { WorkflowDefinition } from '../../domain/agent-protocol.ts';
import type { CheckSeverity } from '../../domain/asset.ts';
import type { RowFold } from './check.ts';
import type { IoManager } from './io.ts';
import type { RetryRule } from './retry-rule.ts';

export const DEFINITION = Symbol.for('signalbox.definition');

/** Code of a task, a flow or an asset; what it is given depends on which of them it is. */
export type Handler = (context: never, input: never) => unknown;

/** A check of an asset as it runs. */
export interface BoundCheck {
  readonly name: string;
  readonly blocking: boolean;
  readonly severity: CheckSeverity;
  readonly run: (value: never, context: never) => unknown;
  /** Of a check that is fed row by row. */
  readonly fold: (() => RowFold) | null;
  /** Longest time that it may take. */
  readonly timeoutMs: number;
}

export interface Definition {
  readonly [DEFINITION]: true;
  readonly name: string;
  /** As it is registered; the loader adds the file. */
  readonly described: Omit<WorkflowDefinition, 'file'>;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Turns parameters into what a schema of a library makes of them; null where JSON is all there is. */
  readonly parse: ((parameters: unknown) => unknown) | null;
  /** Which errors of a task may be mended by another attempt; all, where a task has no rule. */
  readonly retryRules?: ReadonlyMap<string, RetryRule>;
  readonly checks: readonly BoundCheck[];
  /** What keeps an asset's values; null or absent where Signalbox does. */
  readonly io?: IoManager | null;
  /** Upstreams of an asset, with the name that the code gives each, if it does. */
  readonly inputs: readonly { readonly key: string; readonly name: string | null }[];
  /** What comes with it, unseen: the workflow that runs its callbacks. */
  readonly companions?: readonly Definition[];
  /** Where it was made: stack of the call. */
  readonly madeAt: string;
}

/** What a definition of any kind says of itself to people. */
export function aboutOf(read: {
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly owners: readonly string[];
}): Pick<WorkflowDefinition, 'description' | 'tags' | 'owners'> {
  const { description, tags, owners } = read;
  return { ...(description === null ? {} : { description }), tags, owners };
}

/** Whether a value is something that a workflow file defines. */
export function isDefinition(value: unknown): value is Definition {
  return typeof value === 'object' && value !== null && DEFINITION in value;
}

/** A definition, and what comes with it. */
export function withCompanions(definition: Definition): readonly Definition[] {
  return definition.companions ? [definition, ...definition.companions] : [definition];
}

let recorded: string[] | undefined;

/** From now on keeps where each definition of this process is made, also of one that nobody exports. */
export function recordPlaces(): readonly string[] {
  recorded ??= [];
  return recorded;
}

/** The stack of the present call, a few frames of it. */
export function stackHere(): string {
  const stack = new Error('here').stack ?? '';
  recorded?.push(stack);
  return stack;
}
