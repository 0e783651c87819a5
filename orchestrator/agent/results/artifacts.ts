/** Sends what a task shows people; what is large goes to the result store first. */
import {
  type ArtifactKind,
  type ArtifactRequest,
  INLINE_ARTIFACT_BYTES,
  MAX_ARTIFACT_BYTES,
} from '../../../domain/artifact.ts';
import type { Artifacts } from '../../define/artifact.ts';
import type { TaskLog } from '../../define/context.ts';
import type { RunningTask } from '../running-task.ts';
import { isBytes, type SpillCalls, spill } from './spill.ts';

export interface ArtifactCalls extends SpillCalls {
  artifact(artifact: ArtifactRequest): Promise<void>;
}

/** An artifact that cannot be shown. */
class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
}

const MAX_KEY = 250;
const MAX_TITLE = 500;
const MAX_ROWS = 10_000;
const MAX_URL = 4_000;
const MAX_TEXT = 1_000;
const MIME = /^[a-z0-9.+-]{1,60}\/[a-z0-9.+-]{1,60}$/;
const JSON_TYPE = 'application/json';

type Shown = { readonly kind: ArtifactKind; readonly mime: string; readonly title?: string };
type Content = { readonly value: unknown } | { readonly bytes: Uint8Array };

export function artifactsOf(
  task: RunningTask,
  calls: ArtifactCalls,
  log: () => TaskLog,
): Artifacts {
  const show = (key: string, shown: Shown, content: Content) =>
    send(task, calls, key, shown, content);
  const newest = new Map<string, Newest>();
  return {
    markdown: (key, text, options) =>
      show(key, { kind: 'markdown', mime: 'text/markdown', ...options }, { value: textOf(text) }),
    async table(key, rows, options) {
      if (!Array.isArray(rows) || rows.length > MAX_ROWS) {
        throw new ArtifactError(`a table has at most ${MAX_ROWS} rows, in an array`);
      }
      await show(key, { kind: 'table', mime: JSON_TYPE, ...options }, { value: rows });
    },
    async link(key, url, text = url, options) {
      const value = {
        url: checkUrl(url, ['http:', 'https:', 'mailto:']),
        text: text.slice(0, MAX_TEXT),
      };
      await show(key, { kind: 'link', mime: JSON_TYPE, ...options }, { value });
    },
    async image(key, picture, { mime, ...options } = {}) {
      if (!isBytes(picture)) {
        const value = { url: checkUrl(picture, ['https:']) };
        return show(key, { kind: 'image', mime: JSON_TYPE, ...options }, { value });
      }
      const type = mime ?? typeOf(picture);
      if (type === null || !MIME.test(type)) {
        throw new ArtifactError('bytes of a picture need their type: { mime: "image/png" }');
      }
      return show(key, { kind: 'image', mime: type, ...options }, { bytes: picture });
    },
    json: (key, value, options) =>
      show(key, { kind: 'json', mime: JSON_TYPE, ...options }, { value }),
    progress(key, percent, options) {
      const known = newest.get(key) ?? new Newest();
      newest.set(key, known);
      const value = { percent: Math.min(100, Math.max(0, Number(percent) || 0)) };
      return known
        .send(() => show(key, { kind: 'progress', mime: JSON_TYPE, ...options }, { value }))
        .catch((error: unknown) => log().warn(`progress was not shown: ${error}`));
    },
  };
}

/** Sends one at a time, and of those that come meanwhile the last. */
class Newest {
  #next: (() => Promise<void>) | undefined;
  #sending: Promise<void> | undefined;

  send(work: () => Promise<void>): Promise<void> {
    this.#next = work;
    this.#sending ??= this.#drain();
    return this.#sending;
  }

  async #drain(): Promise<void> {
    try {
      for (let work = this.#next; work !== undefined; work = this.#next) {
        this.#next = undefined;
        await work();
      }
    } finally {
      this.#sending = undefined;
    }
  }
}

async function send(
  task: RunningTask,
  calls: ArtifactCalls,
  key: string,
  { kind, mime, title }: Shown,
  content: Content,
): Promise<void> {
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY) {
    throw new ArtifactError(`the key of an artifact has 1 to ${MAX_KEY} characters`);
  }
  const { runId, taskKey, token } = task.assignment;
  const frame = { runId, taskKey, token, key, kind, mime };
  const told = title === undefined ? frame : { ...frame, title: title.slice(0, MAX_TITLE) };
  const json = 'bytes' in content ? null : jsonOf(content.value, key);
  // A text is kept as it is read, not as JSON.
  const isText = json !== null && 'value' in content && typeof content.value === 'string';
  const raw =
    'bytes' in content ? content.bytes : Buffer.from(isText ? String(content.value) : (json ?? ''));
  const bytes = raw.byteLength;
  if (bytes > MAX_ARTIFACT_BYTES) {
    throw new ArtifactError(
      `artifact ${key} has ${bytes} bytes, and at most ${MAX_ARTIFACT_BYTES} are shown: store it elsewhere and show a link`,
    );
  }
  if (bytes > INLINE_ARTIFACT_BYTES) {
    const stored = await spill(calls, task.assignment, raw, null, `artifact ${key}`);
    await calls.artifact({ ...told, bytes, content: stored });
  } else if ('bytes' in content) {
    await calls.artifact({ ...told, bytes, base64: Buffer.from(raw).toString('base64') });
  } else await calls.artifact({ ...told, bytes, value: content.value });
}

function jsonOf(value: unknown, key: string): string {
  const json = JSON.stringify(value);
  if (json !== undefined) return json;
  throw new ArtifactError(`artifact ${key} must be JSON, and is ${typeof value}`);
}

function textOf(text: unknown): string {
  if (typeof text === 'string') return text;
  throw new ArtifactError(`markdown must be a text, and is ${typeof text}`);
}

function checkUrl(text: string, protocols: readonly string[]): string {
  const url = URL.parse(String(text));
  if (url !== null && protocols.includes(url.protocol) && url.href.length <= MAX_URL)
    return url.href;
  throw new ArtifactError(`a URL must begin with ${protocols.join(' or ')}`);
}

/** By the first bytes. */
function typeOf(bytes: Uint8Array): string | null {
  const begin = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (begin.startsWith('\x89PNG')) return 'image/png';
  if (begin.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (begin.startsWith('GIF8')) return 'image/gif';
  return begin.startsWith('RIFF') && begin.endsWith('WEBP') ? 'image/webp' : null;
}
