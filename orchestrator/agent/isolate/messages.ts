/** What an agent and a worker process say to each other over their channel. */
import type {
  AgentPoolReport,
  Assignment,
  Completion,
  LogsRequest,
} from '../../../domain/agent-protocol.ts';
import type { ErrorCode } from '../../../domain/errors.ts';
import type { RunError } from '../../../domain/run.ts';
import type { Aborted } from '../failure.ts';

/** A workflow file as a worker imports it. */
export interface CodeSource {
  readonly path: string;
  readonly generation: number;
}

/** An error on its way between processes; `signalbox` is the code of a SignalboxError, `kind` that of an Aborted. */
export interface WireError extends RunError {
  readonly signalbox?: ErrorCode;
  readonly kind?: Aborted['kind'];
}

export type ToWorker =
  | {
      readonly type: 'run';
      readonly assignment: Assignment;
      /** Name of the definition, and the file that it is in. */
      readonly name: string;
      readonly source: CodeSource;
      readonly ceilings: Readonly<Record<string, number>>;
      /** How far the server's clock, which agents keep to, is ahead of this machine's. */
      readonly clockAheadMs: number;
    }
  | { readonly type: 'abort'; readonly kind: Aborted['kind']; readonly message: string }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly error: WireError }
  | { readonly type: 'ceilings'; readonly ceilings: Readonly<Record<string, number>> }
  /** Asks for a sign of life: code that blocks the event loop gives none. */
  | { readonly type: 'probe' };

export type ToAgent =
  | { readonly type: 'ready' }
  | { readonly type: 'alive' }
  /** A call of the session's; arguments that are no JSON are named by `$`. */
  | {
      readonly type: 'call';
      readonly id: number;
      readonly name: string;
      readonly args: readonly unknown[];
    }
  | { readonly type: 'logs'; readonly id: number; readonly request: LogsRequest }
  | { readonly type: 'source'; readonly id: number; readonly name: string }
  | { readonly type: 'park'; readonly id: number }
  | { readonly type: 'unpark'; readonly park: number }
  | { readonly type: 'pools'; readonly pools: readonly AgentPoolReport[] }
  | {
      readonly type: 'ended';
      readonly completion: Completion | null;
      /** Why the process is not to be used again; null where nothing of the task is left in it. */
      readonly left: string | null;
      /** Child processes that still run and are no part of the process's group. */
      readonly children: readonly number[];
    };

/** Marks of arguments that stand for something on the other side. */
export const TASK_MARK = { $: 'task' } as const;
export const SIGNAL_MARK = { $: 'signal' } as const;

/** What one call of a worker may hold, in characters; much more than any result may have. */
export const MAX_CALL_CHARACTERS = 16_777_216;
