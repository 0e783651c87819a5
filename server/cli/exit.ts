/** How a command ends otherwise than done: called wrongly (2), or with a code whose reason it has told already. */

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Ends the command with a code and without a message. */
export class ExitWith extends Error {
  override readonly name = 'ExitWith';
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}
