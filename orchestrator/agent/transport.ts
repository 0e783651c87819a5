/**
 * How an agent talks to a server. One call is one attempt: what may be tried again throws a
 * `ConnectionLost`, what the server refused throws a `SignalboxError`. Who calls decides how long to persist.
 */
import type {
  AssetInputReply,
  AssetInputRequest,
  AssetValue,
  Assignment,
  ClaimReply,
  ClaimRequest,
  CompleteReply,
  Completion,
  DynamicPartitionsRequest,
  HeartbeatReply,
  HeartbeatRequest,
  LogsRequest,
  OnceReply,
  OnceRequest,
  RecordedStep,
  RecordedVersion,
  RegisterReply,
  RegisterRequest,
  ResultReply,
  RunWaitReply,
  StepRecord,
  StepsReply,
  SubflowRequest,
} from '../../domain/agent-protocol.ts';
import type { ArtifactRequest } from '../../domain/artifact.ts';
import type {
  BlobRequest,
  CacheReply,
  CacheRequest,
  ResultReference,
} from '../../domain/result.ts';
import type { Run } from '../../domain/run.ts';
import type { LookEnd, LookEndReply, LooksReply, LooksRequest } from '../../domain/sensor.ts';
import type {
  EmitRequest,
  EventReceipt,
  SuspendReply,
  SuspendRequest,
  WaitReply,
  WaitRequest,
} from '../../domain/wait.ts';

/** An attempt that ended, with its JSON text: encoded once, measured by it, and sent as it is. */
export interface EndedAttempt {
  readonly assignment: Assignment;
  readonly completion: Completion;
  readonly json: string;
}

/** The answer was lost, or the server cannot work now; the call may have taken effect. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  /** What the server asked to wait for, or 0. */
  readonly retryAfterMs: number;

  constructor(message: string, cause: unknown, retryAfterMs = 0) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Transport {
  /** How long a flow must wait to be given back meanwhile; a minute unless told. */
  readonly suspendAfterMs?: number;
  register(request: RegisterRequest): Promise<RegisterReply>;
  claim(sessionId: string, request: ClaimRequest, signal: AbortSignal): Promise<ClaimReply>;
  complete(sessionId: string, ended: readonly EndedAttempt[], take: number): Promise<CompleteReply>;
  recordSteps(sessionId: string, steps: readonly StepRecord[]): Promise<StepsReply['outcomes']>;
  /** @param limitMs longest wait for the answer: a heartbeat that comes late is worth nothing */
  heartbeat(sessionId: string, report: HeartbeatRequest, limitMs: number): Promise<HeartbeatReply>;
  logs(sessionId: string, request: LogsRequest): Promise<void>;
  once(sessionId: string, request: OnceRequest): Promise<OnceReply>;
  result(sessionId: string, runId: string, taskKey: string): Promise<ResultReply>;
  steps(sessionId: string, runId: string): Promise<readonly RecordedStep[]>;
  startSubflow(sessionId: string, request: SubflowRequest): Promise<Run>;
  waitRun(
    sessionId: string,
    runId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<RunWaitReply>;
  claimLooks(sessionId: string, request: LooksRequest, signal: AbortSignal): Promise<LooksReply>;
  endLook(sessionId: string, end: LookEnd): Promise<LookEndReply>;
  wait(sessionId: string, request: WaitRequest, signal: AbortSignal): Promise<WaitReply>;
  suspend(sessionId: string, request: SuspendRequest): Promise<SuspendReply>;
  emit(sessionId: string, request: EmitRequest): Promise<EventReceipt>;
  assetValue(sessionId: string, assetKey: string): Promise<AssetValue | null>;
  assetHistory(sessionId: string, assetKey: string): Promise<readonly RecordedVersion[]>;
  assetInput(sessionId: string, of: AssetInputRequest): Promise<AssetInputReply>;
  changePartitions(sessionId: string, request: DynamicPartitionsRequest): Promise<void>;
  /** Sends a file to the result store. @returns the store's name */
  putBlob(sessionId: string, blob: BlobRequest, path: string): Promise<string>;
  /** Writes content of a result store to a file. */
  getBlob(
    sessionId: string,
    of: Pick<ResultReference, 'store' | 'key' | 'bytes'>,
    path: string,
  ): Promise<void>;
  cache(sessionId: string, request: CacheRequest): Promise<CacheReply>;
  artifact(sessionId: string, artifact: ArtifactRequest): Promise<void>;
  stop(sessionId: string): Promise<void>;
  /** Closes connections; nothing can be sent afterwards. */
  close(): Promise<void>;
}
