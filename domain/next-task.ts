/** What the answer to completions tells in short of tasks that are handed on. */

/**
 * A plain task of the run that the completion at this place of the request was of: all that is not told is as in the
 * assignment that was completed.
 */
export type NextTask = readonly [
  place: number,
  taskKey: string,
  attempt: number,
  token: string,
  timeoutMs: number | null,
];
