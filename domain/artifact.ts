/** What tasks show people beside their results: reports, tables, links, pictures, progress. */
import type { ResultReference } from './result.ts';

export const ARTIFACT_KINDS = ['markdown', 'table', 'link', 'image', 'json', 'progress'] as const;
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

/** Of one run; further keys are refused. */
export const MAX_ARTIFACTS_A_RUN = 1_000;
/** The largest content. */
export const MAX_ARTIFACT_BYTES = 16_777_216;
/** Larger content lies in the result store. */
export const INLINE_ARTIFACT_BYTES = 131_072;

/** Pictures that browsers show and that can hold no code; others are only downloaded. */
export const SHOWN_IMAGES: readonly string[] = [
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
];

export interface Artifact {
  readonly id: string;
  readonly key: string;
  readonly kind: ArtifactKind;
  readonly title: string | null;
  readonly runId: string;
  readonly workflow: string | null;
  readonly taskKey: string;
  /** Counts the runs and tasks that made one under the key. */
  readonly version: number;
  readonly mime: string;
  readonly bytes: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  /**
   * Small content: text of `markdown`, rows of `table`, the value of `json`, `{url,text}` of `link`, `{percent}` of
   * `progress`, `{url}` of an `image` elsewhere; null where it is asked for by `content`.
   */
  readonly value: unknown;
}

/** What an agent sends. */
export interface ArtifactRequest {
  readonly runId: string;
  readonly taskKey: string;
  readonly token: string;
  readonly key: string;
  readonly kind: ArtifactKind;
  readonly title?: string;
  readonly mime: string;
  readonly bytes: number;
  /** JSON, for all that is no binary content and small. */
  readonly value?: unknown;
  readonly base64?: string;
  /** Large content. */
  readonly content?: ResultReference;
}
