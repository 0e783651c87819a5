/** Telemetry of an agent's process. Where to send it, the server says; the agent works whether it does or not. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import type { RunningTelemetry } from './sdk.ts';

export interface AgentTelemetryOptions {
  readonly config: Config;
  /** Server that the agent works for. */
  readonly url: string;
  readonly token: string;
}

const ASK_EVERY_MS = 2_000;
const ASK_LIMIT_MS = 2_000;

/** Starts as soon as the server has said where its receiver is; asks until then. */
export function startAgentTelemetry(
  options: AgentTelemetryOptions,
): RunningTelemetry & { readonly started: Promise<unknown> } {
  const { config, url, token } = options;
  const abort = new AbortController();
  const { signal } = abort;

  async function start(): Promise<RunningTelemetry | undefined> {
    const { telemetry: settings } = config;
    while (!signal.aborted && !settings.disabled) {
      const own = await askReceiver(url, token).catch(() => undefined);
      if (own !== undefined) {
        // Loaded when there is something to trace for: it is large.
        const { startTelemetry } = await import('./sdk.ts');
        return startTelemetry({ settings, role: 'agent', own: { url: own, token } });
      }
      await delay(ASK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    return undefined;
  }

  const started = start();
  return {
    started,
    async stop() {
      abort.abort();
      await (await started)?.stop();
    },
  };
}

/** The receiver listens on the server's host, on a port of its own. */
async function askReceiver(url: string, token: string): Promise<string | undefined> {
  const response = await fetch(`${url}/api/v1/agent/settings`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(ASK_LIMIT_MS),
  });
  if (!response.ok) return undefined;
  const { otlpPort } = (await response.json()) as { otlpPort: number | null };
  if (otlpPort === null) return undefined;
  const receiver = new URL(url);
  receiver.port = String(otlpPort);
  return receiver.origin;
}
