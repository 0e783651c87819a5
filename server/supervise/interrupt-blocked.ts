/**
 * Interrupts the code that blocks the event loop of another process, through Node's inspector. It is opened by SIGUSR1
 * only when it is needed, so a process that works well pays nothing for it. Which task it is, the blocked code is asked
 * itself, on its own stack.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface Blocked {
  /** Fencing token of the attempt. */
  readonly token: string;
  /** File and line. */
  readonly where: string;
}

interface Frame {
  readonly callFrameId: string;
  readonly functionName: string;
  readonly url: string;
  readonly location: { readonly lineNumber: number };
}

const ADDRESS = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/g;
const OPEN_LIMIT_MS = 3_000;
const ANSWER_LIMIT_MS = 3_000;
const LOOK_EVERY_MS = 20;
/** The guard of shared processes answers it (`orchestrator/agent/isolate/guard.ts`). */
const WHO = `globalThis[Symbol.for('signalbox.blocking-task')]?.() ?? null`;

/**
 * @param said the end of what the process wrote on standard error, where its inspector tells its address
 * @returns what was interrupted; null where no task is to blame, and nothing was interrupted
 * @throws where the process cannot be reached
 */
export async function interruptBlocked(
  pid: number,
  said: () => Promise<string>,
): Promise<Blocked | null> {
  const before = (await said()).match(ADDRESS)?.length ?? 0;
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
    if (typeof result.value !== 'string') return null;
    const ended = inspector.ask('Runtime.terminateExecution');
    void inspector.ask('Debugger.resume').catch(() => undefined);
    await ended;
    return { token: result.value, where: placeOf(callFrames) };
  } finally {
    inspector.close();
  }
}

async function newAddress(said: () => Promise<string>, before: number): Promise<string> {
  const until = performance.now() + OPEN_LIMIT_MS;
  while (performance.now() < until) {
    const found = (await said()).match(ADDRESS) ?? [];
    const newest = found.at(-1);
    if (found.length > before && newest !== undefined) return newest;
    await delay(LOOK_EVERY_MS);
  }
  throw new Error('its inspector did not open');
}

/** The innermost place in a file of the user's. */
function placeOf(frames: readonly Frame[]): string {
  const frame = frames.find(({ url }) => url.startsWith('file:')) ?? frames[0];
  if (frame === undefined) return 'an unknown place';
  const name = frame.functionName === '' ? '' : `${frame.functionName} in `;
  return `${name}${frame.url.replace('file://', '').replace(/\?.*$/, '')}:${frame.location.lineNumber + 1}`;
}

interface Inspector {
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
  let lastId = 0;
  const hear = (key: number | string): Promise<unknown> =>
    limited(new Promise((resolve) => waiting.set(key, resolve)), `${key}`);
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params, result } = JSON.parse(String(data)) as Message;
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
