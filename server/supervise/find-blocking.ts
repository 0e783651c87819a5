/**
 * Finds which task blocks the event loop of another process, through Node's inspector. It is opened by SIGUSR1 only
 * when it is needed, so a process that works well pays nothing for it. The blocked code is asked itself, on its own
 * stack, and goes on then: nothing is changed in it.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Blocking {
  /** Fencing token of the attempt. */
  readonly token: string;
  /** File and line. */
  readonly where: string;
}

interface Frame {
  readonly callFrameId: string;
  readonly functionName: string;
  readonly url: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

const ADDRESS = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/g;
const OPEN_LIMIT_MS = 3_000;
const ANSWER_LIMIT_MS = 3_000;
const LOOK_EVERY_MS = 20;
const CLOSED_AFTER_MS = 1_000;
/**
 * The guard of shared processes answers it (`orchestrator/agent/isolate/guard.ts`). A process that lives on closes its
 * inspector by itself, once nobody is connected.
 */
const WHO = `(() => {
  const close = () => process.getBuiltinModule('node:inspector').close();
  globalThis.setTimeout(close, ${CLOSED_AFTER_MS}).unref();
  return globalThis[Symbol.for('signalbox.blocking-task')]?.() ?? null;
})()`;

/**
 * @param said the end of what the process wrote on standard error, where its inspector tells its address
 * @returns null where no task is to blame
 * @throws where the process cannot be reached
 */
export async function findBlocking(
  pid: number,
  said: () => Promise<string>,
): Promise<Blocking | null> {
  const before = (await said()).match(ADDRESS)?.at(-1);
  process.kill(pid, 'SIGUSR1');
  const inspector = await connect(await newAddress(said, before));
  try {
    await inspector.ask('Debugger.enable');
    const paused = inspector.next('Debugger.paused');
    void inspector.ask('Debugger.pause').catch(() => undefined);
    const { callFrames } = (await paused) as { callFrames: readonly Frame[] };
    const [top] = callFrames;
    if (top === undefined) return null;
    const { result } = (await inspector.ask('Debugger.evaluateOnCallFrame', {
      ...{ callFrameId: top.callFrameId, expression: WHO, returnByValue: true },
    })) as { result: { value?: unknown } };
    await inspector.ask('Debugger.resume');
    if (typeof result.value !== 'string') return null;
    return { token: result.value, where: placeOf(callFrames, inspector.scripts) };
  } finally {
    inspector.close();
  }
}

async function newAddress(
  said: () => Promise<string>,
  before: string | undefined,
): Promise<string> {
  const until = performance.now() + OPEN_LIMIT_MS;
  while (performance.now() < until) {
    const newest = (await said()).match(ADDRESS)?.at(-1);
    if (newest !== undefined && newest !== before) return newest;
    await delay(LOOK_EVERY_MS);
  }
  throw new Error('its inspector did not open');
}

/** The innermost place in a file of the user's. */
function placeOf(frames: readonly Frame[], scripts: ReadonlyMap<string, string>): string {
  const places = frames.map((frame) => ({
    frame,
    url: scripts.get(frame.location.scriptId) ?? '',
  }));
  const place = places.find(({ url }) => url.startsWith('file:')) ?? places[0];
  if (place === undefined) return 'an unknown place';
  const { functionName, location } = place.frame;
  const name = functionName === '' ? '' : `${functionName} in `;
  const file = place.url.replace('file://', '').replace(/\?.*$/, '');
  return `${name}${file}:${location.lineNumber + 1}`;
}

interface Inspector {
  /** URL of each script by its id. */
  readonly scripts: ReadonlyMap<string, string>;
  ask(method: string, params?: object): Promise<unknown>;
  next(method: string): Promise<unknown>;
  close(): void;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
}

async function connect(address: string): Promise<Inspector> {
  const socket = new WebSocket(address);
  const waiting = new Map<number | string, (value: unknown) => void>();
  const scripts = new Map<string, string>();
  let lastId = 0;
  const hear = (key: number | string): Promise<unknown> =>
    limited(new Promise((resolve) => waiting.set(key, resolve)), `${key}`);
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params, result } = JSON.parse(String(data)) as Message;
    if (method === 'Debugger.scriptParsed') {
      const script = params as { scriptId: string; url: string };
      scripts.set(script.scriptId, script.url);
    }
    const key = id ?? method ?? '';
    waiting.get(key)?.(id === undefined ? params : result);
    waiting.delete(key);
  });
  await limited(
    new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true });
      socket.addEventListener('error', () => reject(new Error('its inspector refused')), {
        once: true,
      });
    }),
    'a connection',
  );
  return {
    scripts,
    ask(method, params = {}) {
      lastId += 1;
      const answer = hear(lastId);
      socket.send(JSON.stringify({ id: lastId, method, params }));
      return answer;
    },
    next: hear,
    close: () => socket.close(),
  };
}

async function limited<T>(work: Promise<T>, what: string): Promise<T> {
  const over = new AbortController();
  const late = delay(ANSWER_LIMIT_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`its inspector did not answer in time (${what})`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
