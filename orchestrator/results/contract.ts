/** Artifacts and cached results as the rest of the product uses them. */
import type { Readable } from 'node:stream';
import type { Artifact, ArtifactKind, ArtifactRequest } from '../../domain/artifact.ts';
import type {
  BlobRequest,
  CacheReply,
  CacheRequest,
  ResultReference,
} from '../../domain/result.ts';
import type { Page, PageQuery } from '../service.ts';

/** What tasks show people, and results that are kept for later runs. */
export interface ResultService {
  /** @throws SignalboxError `not-found` */
  artifact(id: string): Promise<Artifact>;
  artifactsOfRun(runId: string): Promise<readonly Artifact[]>;
  /** Newest first; of one key its versions. */
  artifacts(
    query: PageQuery & { readonly key?: string; readonly kind?: ArtifactKind },
  ): Promise<Page<Artifact>>;
  /** @throws SignalboxError `not-found` */
  artifactContent(id: string): Promise<{ artifact: Artifact; content: Readable }>;
  /**
   * The result of a task, or of a step of a flow, as content.
   * @throws SignalboxError `not-found` where there is none
   */
  taskResult(runId: string, taskKey: string): Promise<ResultContent>;
  /** Forgets cached results of a workflow, or of one of its tasks. @returns how many there were */
  forgetCached(workflow: string, task?: string): Promise<number>;
}

/** A result on its way to who downloads it. */
export interface ResultContent {
  readonly content: Readable;
  /** Null where it is made on the way. */
  readonly bytes: number | null;
  /** Of the whole content, in hex; null where nobody has counted it. */
  readonly sha256: string | null;
  readonly type: 'json' | 'binary';
}

/** What agents ask of the server for the tasks that they run. */
export interface ResultCalls {
  /** Keeps content that is too large to be recorded. @returns name of the store that has it */
  putBlob(
    sessionId: string,
    blob: BlobRequest,
    content: AsyncIterable<Uint8Array>,
  ): Promise<string>;
  getBlob(sessionId: string, of: Pick<ResultReference, 'store' | 'key'>): Promise<Readable>;
  /** Asks for the result of an earlier execution, or stores one. */
  cache(sessionId: string, request: CacheRequest): Promise<CacheReply>;
  /** Stores what a task shows people. */
  artifact(sessionId: string, artifact: ArtifactRequest): Promise<void>;
}
