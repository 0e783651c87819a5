/**
 * One function that speaks to the server, and the one error that it throws. What a caller can count on:
 * an answer of the right shape, or a `Fault` that says what happened and what to do.
 */
import type { Problem } from '../../../domain/errors.ts';

const BASE = '/api/v1';
const TIMEOUT_MS = 20_000;

/** What went wrong, for a person. `status` is 0 where the server could not be reached. */
export class Fault extends Error {
  readonly status: number;
  readonly code: string;
  readonly advice: string;
  readonly fields: Problem['errors'];

  constructor(of: {
    status: number;
    code: string;
    message: string;
    advice: string;
    fields?: Problem['errors'];
  }) {
    super(of.message);
    this.name = 'Fault';
    this.status = of.status;
    this.code = of.code;
    this.advice = of.advice;
    this.fields = of.fields;
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Called whenever an answer says that the session is over. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/**
 * Sends a request and reads its JSON.
 * @throws Fault for every answer that is not a success, and where there is none
 */
export async function request<T>(
  method: Method,
  path: string,
  options: { body?: unknown; signal?: AbortSignal } = {},
): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(BASE + path, {
    method,
    headers: options.body === undefined ? {} : { 'content-type': 'application/json' },
    body: options.body === undefined ? null : JSON.stringify(options.body),
    signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    credentials: 'same-origin',
  }).catch((error: unknown) => {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  });
  const text = await response.text();
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  if (response.status === 401 && !path.startsWith('/auth/')) onSignedOut();
  throw faultOf(response.status, text);
}

function unreachable(): Fault {
  return new Fault({
    status: 0,
    code: 'unreachable',
    message: 'The server does not answer.',
    advice: 'What is shown stays as it was. The console goes on trying by itself.',
  });
}

function faultOf(status: number, text: string): Fault {
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // A proxy's page, not ours: the status has to do.
  }
  return new Fault({
    status,
    code: problem.code ?? `http-${status}`,
    message: [problem.title ?? `The server answered ${status}`, problem.detail]
      .filter(Boolean)
      .join(': '),
    advice: problem.advice ?? 'Try again; the server’s log has the details.',
    fields: problem.errors,
  });
}

/** The fault of anything that was thrown. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Fault({
    status: 0,
    code: 'console',
    message: `The console could not read the answer: ${message}`,
    advice: 'Reload the page; if it happens again, the console and the server differ in version.',
  });
}
