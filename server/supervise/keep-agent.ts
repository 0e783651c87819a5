/**
 * `signalbox agent` alone: a small process that keeps the agent's running. It holds nothing but the watch, imports next
 * to nothing, and starts the agent anew when it dies. It ends when the agent ends by itself, or was told to.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Reaper } from '../../orchestrator/agent/isolate/reaper.ts';
import { AgentWatch, type AgentWord, WATCHED_NODE_OPTIONS } from './agent-watch.ts';
import { modulePath } from './module-path.ts';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** An agent that ran this long counts as healthy. */
const HEALTHY_MS = 30_000;
const KEPT_OUTPUT = 16_384;
/** How long an agent whose keeper was killed may take to end by itself. */
const ORPHAN_SECONDS = 15;
const SIGNAL_EXIT = 128;
/** How long the server may take to hear of the death of an agent that is not started again. */
const LAST_WORD_MS = 2_000;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly wasReady: boolean;
  readonly isHopeless: boolean;
}

/**
 * Runs `signalbox agent` with these arguments and keeps it.
 * @returns the exit code
 */
export async function keepAgent(argv: readonly string[]): Promise<number> {
  const reaper = new Reaper(ORPHAN_SECONDS);
  const log = (message: string) => process.stderr.write(`${message}\n`);
  const stop = new AbortController();
  let current: ReturnType<typeof startAgent> | undefined;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      stop.abort();
      current?.end(name);
    });
  }
  let pauseMs = FIRST_PAUSE_MS;
  for (let starts = 0; ; starts++) {
    current = startAgent(argv, reaper, log);
    const startedAt = performance.now();
    const ended = await current.ended;
    const isFinal = ended.code === 0 || ended.isHopeless || (starts === 0 && !ended.wasReady);
    if (stop.signal.aborted || isFinal) {
      reaper.close();
      await Promise.race([current.told(), delay(LAST_WORD_MS, undefined, { ref: false })]);
      return ended.signal === null
        ? (ended.code ?? 1)
        : SIGNAL_EXIT + constants.signals[ended.signal];
    }
    if (performance.now() - startedAt > HEALTHY_MS) pauseMs = FIRST_PAUSE_MS;
    log(`the agent ended (${ended.signal ?? `exit code ${ended.code}`}): it is started again`);
    await delay(pauseMs, undefined, { signal: stop.signal }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    if (stop.signal.aborted) return 0;
  }
}

function startAgent(argv: readonly string[], reaper: Reaper, log: (message: string) => void) {
  const module = modulePath('../cli/main.ts', import.meta.url);
  const child: ChildProcess = spawn(
    process.execPath,
    [...process.execArgv, ...WATCHED_NODE_OPTIONS, module, ...argv],
    { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], detached: true },
  );
  let said = '';
  let wasReady = false;
  child.stderr?.on('data', (chunk: Uint8Array) => {
    said = `${said}${chunk}`.slice(-KEPT_OUTPUT);
    process.stderr.write(chunk);
  });
  child.on('message', (word: AgentWord) => {
    wasReady ||= word.type === 'watch';
  });
  const watch = new AgentWatch(child, async () => said, log);
  if (child.pid !== undefined) reaper.add(child.pid);
  const ended = new Promise<Ended>((resolve) => {
    const tell = (code: number | null, signal: NodeJS.Signals | null) => {
      if (child.pid !== undefined) reaper.remove(child.pid);
      resolve({ code, signal, wasReady, isHopeless: watch.isHopeless });
    };
    child.once('exit', tell);
    child.once('error', (error) => {
      log(`the agent could not be started: ${error.message}`);
      tell(1, null);
    });
  });
  return {
    ended,
    told: () => watch.told,
    end(signal: NodeJS.Signals) {
      watch.stopping();
      child.kill(signal);
    },
  };
}
