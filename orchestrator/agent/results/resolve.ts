/** Makes of what was recorded what the code gave back: content that lies elsewhere is read, and must be whole. */
import { isInlineBytes, isResultReference, type ResultReference } from '../../../domain/result.ts';
import { takeContent } from './blob-files.ts';

export interface ResolveCalls {
  /** Brings content to this machine. @returns the path of a file that is the caller's */
  getBlob(of: Pick<ResultReference, 'store' | 'key' | 'bytes'>): Promise<string>;
}

/** Content that is not what was stored. */
class ResultDamaged extends Error {
  override readonly name = 'ResultDamaged';
}

const AT_ONCE = 8;

/** Results of mapped tasks are lists, of which each item may lie elsewhere. */
export async function resolveResult(calls: ResolveCalls, recorded: unknown): Promise<unknown> {
  if (!Array.isArray(recorded)) return resolveOne(calls, recorded);
  const away = [...recorded.keys()].filter((at) => isMarked(recorded[at]));
  if (away.length === 0) return recorded;
  const values: unknown[] = [...recorded];
  const bring = async () => {
    for (let at = away.pop(); at !== undefined; at = away.pop()) {
      values[at] = await resolveOne(calls, recorded[at]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, bring));
  return values;
}

function isMarked(value: unknown): boolean {
  return isInlineBytes(value) || isResultReference(value);
}

async function resolveOne(calls: ResolveCalls, recorded: unknown): Promise<unknown> {
  if (isInlineBytes(recorded)) return Buffer.from(recorded.base64, 'base64');
  return isResultReference(recorded) ? read(calls, recorded) : recorded;
}

async function read(calls: ResolveCalls, reference: ResultReference): Promise<unknown> {
  const { content, sha256 } = await takeContent(await calls.getBlob(reference));
  if (sha256 !== reference.sha256) {
    throw new ResultDamaged(
      `the content of ${reference.key} in ${reference.store} is not what was stored: its hash is ${sha256.slice(0, 12)}… and should be ${reference.sha256.slice(0, 12)}…; run the task again that made it`,
    );
  }
  return reference.type === 'binary' ? content : (JSON.parse(content.toString('utf8')) as unknown);
}
