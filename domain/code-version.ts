/** What tells the code of a definition from other code that is described alike. */
export interface CodeVersions {
  /** A hash of the code of each task, by key; no part of the version, which is that of the graph. */
  readonly codeVersions?: Readonly<Record<string, string>>;
}
