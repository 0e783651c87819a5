/** Artifacts and cached results as the rest of the product uses them. */
import type { Readable } from 'node:stream';
import type { Artifact, ArtifactKind } from '../../domain/artifact.ts';
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
  /** Forgets cached results of a workflow, or of one of its tasks. @returns how many there were */
  forgetCached(workflow: string, task?: string): Promise<number>;
}
