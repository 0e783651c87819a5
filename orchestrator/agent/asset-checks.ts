/**
 * Runs checks over a value. What is in memory is looked at by all at once; rows that come as a stream are fed to
 * those that count while they go by, and read again, one check after the other, for those that run code of their own.
 */
import type { AssetOutcome, RecordedVersion } from '../../domain/agent-protocol.ts';
import type { StoredColumn } from '../../domain/asset.ts';
import type { RowFold } from '../define/check.ts';
import { TimeLimitError } from '../define/context.ts';
import type { BoundCheck } from '../define/definition.ts';
import type { Row } from '../define/io.ts';
import { plainJson } from './encode.ts';
import { toRunError } from './error-record.ts';
import { LONGEST_TIMER_MS, unlessAborted } from './persist.ts';

type CheckSaid = AssetOutcome['checks'][number];

/** A value that is to be checked. */
export interface Checked {
  readonly assetKey: string;
  readonly partitionKey: string | undefined;
  readonly rows: number | null;
  readonly schema: readonly StoredColumn[] | null;
  readonly signal: AbortSignal;
  readonly now: number;
  history(): Promise<readonly RecordedVersion[]>;
  /** The value; a stream anew each time. */
  read(): unknown;
}

/** Checks that count, on their way through the rows. */
export class Feeding {
  readonly #folds = new Map<BoundCheck, { fold: RowFold } | { error: unknown }>();

  constructor(checks: readonly BoundCheck[]) {
    for (const check of checks) {
      if (check.fold !== null) this.#folds.set(check, { fold: check.fold() });
    }
  }

  has(check: BoundCheck): boolean {
    return this.#folds.has(check);
  }

  row(row: Row): void {
    for (const [check, feeding] of this.#folds) {
      if ('error' in feeding) continue;
      try {
        feeding.fold.row(row);
      } catch (error) {
        this.#folds.set(check, { error });
      }
    }
  }

  end(check: BoundCheck, checked: Checked): unknown {
    const feeding = this.#folds.get(check);
    if (feeding === undefined) throw new Error(`${check.name} was not fed`);
    if ('error' in feeding) throw feeding.error;
    return feeding.fold.end(checked);
  }
}

/** Of a value in memory. */
export function checkValue(
  checks: readonly BoundCheck[],
  value: unknown,
  checked: Checked,
): Promise<readonly CheckSaid[]> {
  const run = (check: BoundCheck) =>
    (check.run as (value: unknown, context: unknown) => unknown)(value, checked);
  return Promise.all(checks.map((check) => judge(check, checked, () => run(check))));
}

/**
 * Of a stream.
 * @param fed what has seen all rows already; else they are read once for all that count
 */
export async function checkStream(
  checks: readonly BoundCheck[],
  checked: Checked,
  fed?: Feeding,
): Promise<readonly CheckSaid[]> {
  const feeding = fed ?? (await feed(checks, checked));
  const said: CheckSaid[] = [];
  for (const check of checks) {
    const run = check.run as (value: unknown, context: unknown) => unknown;
    said.push(
      await judge(check, checked, async () =>
        feeding.has(check) ? feeding.end(check, checked) : run(await checked.read(), checked),
      ),
    );
  }
  return said;
}

async function feed(checks: readonly BoundCheck[], checked: Checked): Promise<Feeding> {
  const feeding = new Feeding(checks);
  if (!checks.some((check) => feeding.has(check))) return feeding;
  for await (const row of (await checked.read()) as AsyncIterable<Row>) feeding.row(row);
  return feeding;
}

async function judge(
  check: BoundCheck,
  { signal }: Checked,
  run: () => unknown,
): Promise<CheckSaid> {
  const { name, blocking, severity } = check;
  try {
    const said: unknown = await inTime(check, signal, run);
    const outcome = typeof said === 'boolean' ? { passed: said } : (said as Said | undefined);
    if (typeof outcome?.passed !== 'boolean') {
      throw new TypeError('a check gives { passed, metadata }, or true or false');
    }
    const metadata = keptMetadata(outcome.metadata ?? {});
    return { name, blocking, severity, passed: outcome.passed, metadata };
  } catch (error) {
    signal.throwIfAborted();
    // A check that cannot tell has not passed.
    const { name: kind, message } = toRunError(error);
    const metadata = { error: `${kind}: ${message}` };
    return { name, blocking, severity, passed: false, metadata };
  }
}

/** Bytes of JSON that are kept of what a check says. */
const MAX_METADATA_BYTES = 65_536;

/** What is too long to be kept changes nothing of whether the check has passed. */
function keptMetadata(given: Record<string, unknown>): Record<string, unknown> {
  const { value, json } = plainJson(given);
  const bytes = Buffer.byteLength(json ?? '');
  if (bytes <= MAX_METADATA_BYTES) return value;
  return { omittedBytes: bytes, limitBytes: MAX_METADATA_BYTES };
}

/** @throws TimeLimitError for a check that takes too long; the reason of the signal where the attempt must stop */
async function inTime(
  { timeoutMs }: BoundCheck,
  signal: AbortSignal,
  run: () => unknown,
): Promise<unknown> {
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => over.reject(new TimeLimitError(`the check took longer than ${timeoutMs} ms`)),
    Math.min(timeoutMs, LONGEST_TIMER_MS),
  );
  try {
    signal.throwIfAborted();
    return await unlessAborted(Promise.race([run(), over.promise]), signal);
  } finally {
    clearTimeout(timer);
  }
}

interface Said {
  readonly passed?: unknown;
  readonly metadata?: Record<string, unknown>;
}
