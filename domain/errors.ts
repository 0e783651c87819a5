/**
 * Every error that the product gives to a person or a program, in one table: a stable code, the HTTP
 * status, what happened, and what to do. The README's table of errors is tested equal to this one.
 */

export interface ErrorEntry {
  readonly status: number;
  readonly title: string;
  readonly advice: string;
}

export const ERRORS = {
  'invalid-request': {
    status: 400,
    title: 'The request is not valid',
    advice:
      'Correct the fields that `errors` names; the OpenAPI document at /api/openapi.json has their schemas.',
  },
  'malformed-json': {
    status: 400,
    title: 'The body is not JSON',
    advice: 'Send valid JSON with Content-Type: application/json.',
  },
  'malformed-protobuf': {
    status: 400,
    title: 'The body is not a valid protobuf message',
    advice: 'Send an OTLP export request; check that nothing truncates the body on its way.',
  },
  'malformed-compression': {
    status: 400,
    title: 'The body does not decompress',
    advice: 'Check Content-Encoding against what is sent.',
  },
  'invalid-parameters': {
    status: 400,
    title: 'The parameters do not match the workflow’s schema',
    advice:
      'Correct the paths that `errors` names; `signalbox workflows show NAME` prints the schema.',
  },
  'invalid-time': {
    status: 400,
    title: 'A time is not valid',
    advice: 'Send RFC 3339 between the years 2000 and 2200.',
  },
  'invalid-cursor': {
    status: 400,
    title: 'The cursor is not one that this list gave out',
    advice: 'Start again without `cursor`.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid token is needed',
    advice: 'Send Authorization: Bearer TOKEN; `signalbox tokens create` makes one.',
  },
  forbidden: {
    status: 403,
    title: 'The token’s role may not do this',
    advice: 'Use a token with the role that `detail` names.',
  },
  'approver-is-requester': {
    status: 403,
    title: 'Who asked for an action cannot approve it',
    advice: 'Ask another operator to approve.',
  },
  'not-found': {
    status: 404,
    title: 'There is no such thing',
    advice: 'Check the name or id; the list route shows what exists.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is not allowed here',
    advice: 'The OpenAPI document lists the methods of each route.',
  },
  conflict: {
    status: 409,
    title: 'The present state does not allow this',
    advice: '`detail` tells the state; read it again and decide anew.',
  },
  'lease-lost': {
    status: 409,
    title: 'The lease of this task was lost',
    advice: 'Stop the task’s work; another agent holds it now.',
  },
  'once-held': {
    status: 409,
    title: 'Another holder is doing this work right now',
    advice: 'Wait and ask again; the result will be shared.',
  },
  'once-unknown': {
    status: 409,
    title: 'A process died between the effect and its record',
    advice: 'Find out whether the effect took place, then settle the key by hand.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    advice: 'Send smaller batches; `detail` names the limit.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The content type is not supported here',
    advice: '`detail` lists those that are.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers or the path are too large',
    advice: 'Send less than 16 KiB of them.',
  },
  guardrail: {
    status: 422,
    title: 'A guardrail forbids the action now',
    advice: '`detail` names the guardrail and when it allows the action again.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too much at once',
    advice: 'Wait for Retry-After seconds and send again; nothing was lost.',
  },
  internal: {
    status: 500,
    title: 'Signalbox made a mistake',
    advice: 'The log has the details under this request id.',
  },
  unavailable: {
    status: 503,
    title: 'A part that this needs is not reachable',
    advice: 'GET /readyz tells which; try again when it is back.',
  },
  'disk-full': {
    status: 507,
    title: 'The disk is full',
    advice: 'Free space under the data directory; nothing acknowledged was lost.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** One fault in a request, with the path of what is wrong (JSON Pointer). */
export interface FieldFault {
  readonly path: string;
  readonly message: string;
}

/** An error with a code of the table; everything that is thrown for a user is one of these. */
export class SignalboxError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly errors: readonly FieldFault[] | undefined;

  constructor(code: ErrorCode, detail?: string, errors?: readonly FieldFault[]) {
    super(detail === undefined ? ERRORS[code].title : `${ERRORS[code].title}: ${detail}`);
    this.name = 'SignalboxError';
    this.code = code;
    this.detail = detail;
    this.errors = errors;
  }
}

/** RFC 9457 problem details. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly advice: string;
  readonly errors?: readonly FieldFault[];
}

export function toProblem(error: SignalboxError): Problem {
  const entry = ERRORS[error.code];
  return {
    type: `urn:signalbox:error:${error.code}`,
    title: entry.title,
    status: entry.status,
    code: error.code,
    advice: entry.advice,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.errors === undefined ? {} : { errors: error.errors }),
  };
}
