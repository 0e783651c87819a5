/**
 * ClickHouse's errors, as its own HTTP server tells them: a text that begins with `Code: N.` and ends
 * with the name of the code, the code in a header, and an HTTP status that follows from the code.
 */

/** Codes that this server raises itself; the names are ClickHouse's. */
const ERROR_CODES = {
  BAD_ARGUMENTS: 36,
  NOT_IMPLEMENTED: 48,
  SYNTAX_ERROR: 62,
  UNKNOWN_SETTING: 115,
  READONLY: 164,
  QUERY_IS_TOO_LARGE: 229,
  SESSION_NOT_FOUND: 372,
  SESSION_IS_LOCKED: 373,
  INVALID_SESSION_TIMEOUT: 374,
  QUERY_WAS_CANCELLED: 394,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  CANNOT_DECOMPRESS: 271,
  CHECKSUM_DOESNT_MATCH: 40,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  LOGICAL_ERROR: 49,
  NOT_ENOUGH_SPACE: 243,
  UNKNOWN_COMPRESSION_METHOD: 89,
  UNKNOWN_FORMAT: 73,
  UNKNOWN_QUERY_PARAMETER: 456,
} as const;

export type ErrorName = keyof typeof ERROR_CODES;

/** An error that a client is told in ClickHouse's form. */
export class ClickHouseException extends Error {
  readonly code: number;
  readonly codeName: string;

  constructor(code: number, codeName: string, message: string) {
    super(message);
    this.name = 'ClickHouseException';
    this.code = code;
    this.codeName = codeName;
  }

  /** The same error in other words. */
  saying(message: string): ClickHouseException {
    return new ClickHouseException(this.code, this.codeName, message);
  }

  /** The text of the reply. */
  text(version: string): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.codeName}) (version ${version} (official build))\n`;
  }
}

/** Makes an error of this server's own. */
export function exception(name: ErrorName, message: string): ClickHouseException {
  return new ClickHouseException(ERROR_CODES[name], name, message);
}

const ENGINE_MESSAGE = /Code: (\d+)\. DB::Exception: ([\s\S]*?)\s*\(([A-Z][A-Z0-9_]{2,})\)\s*$/;

/** Reads what the engine threw; anything that is not in its form becomes a LOGICAL_ERROR. */
export function fromEngine(error: unknown): ClickHouseException {
  if (error instanceof ClickHouseException) return error;
  const message = error instanceof Error ? error.message : String(error);
  const match = ENGINE_MESSAGE.exec(message);
  if (!match) return exception('LOGICAL_ERROR', message);
  return new ClickHouseException(Number(match[1]), match[3] ?? '', plainMessage(match[2] ?? ''));
}

/** Without the same exception told inside itself, and without the names of this server's files. */
function plainMessage(message: string): string {
  return message
    .replace(/^(?:Code: \d+\. DB::Exception: )+/, '')
    .replace(/: \(in file\/uri [^)]*\)/g, '')
    .replace(/:? While executing File: data for INSERT was parsed from file/g, '')
    .replace(/\. \([A-Z0-9_]+\) \(version [\d.]+[^)]*\)(?: \(official build\)\))?\.?$/, '.');
}

const STATUS_OF: readonly (readonly [status: number, codes: readonly number[]])[] = [
  [401, [194]],
  // ClickHouse itself answers READONLY (164) with 500; 403 says better whose mistake it is.
  [403, [164, 192, 193, 497, 512, 516]],
  [
    400,
    [
      6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 374, 376,
      427, 441, 456, 457, 675, 676,
    ],
  ],
  [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]],
  [408, [159]],
  [411, [381]],
  [413, [229]],
  [415, [779]],
  [501, [48]],
  [503, [76, 202, 209, 439]],
];

/** The HTTP status that goes with a code. */
export function httpStatus(code: number): number {
  for (const [status, codes] of STATUS_OF) if (codes.includes(code)) return status;
  return 500;
}
