/** What a task shows people beside its result. */

export interface ArtifactOptions {
  /** Shown above it; the key unless told. */
  readonly title?: string;
}

/**
 * Shows something on the page of the run (`ctx.artifact`). A key names it within the task: the same key is the same
 * thing, made anew in place, and over runs its versions are kept. Await each call; a key has 1 to 250 characters.
 */
export interface Artifacts {
  /** A text in Markdown, of at most 16 MiB. */
  markdown(key: string, text: string, options?: ArtifactOptions): Promise<void>;
  /** Rows of a table; its columns are those that any row has. */
  table(key: string, rows: readonly object[], options?: ArtifactOptions): Promise<void>;
  /** Somewhere else: `http:`, `https:` or `mailto:`. @param text shown for it; the URL unless told */
  link(key: string, url: string, text?: string, options?: ArtifactOptions): Promise<void>;
  /** A picture: its bytes with their `mime`, or its URL (`https:`). */
  image(
    key: string,
    picture: Uint8Array | string,
    options?: ArtifactOptions & { readonly mime?: string },
  ): Promise<void>;
  /** Any value that is JSON. */
  json(key: string, value: unknown, options?: ArtifactOptions): Promise<void>;
  /** How far something is, 0 to 100. Called often, it sends the newest value only; it never fails the task. */
  progress(key: string, percent: number, options?: ArtifactOptions): Promise<void>;
}
