/** What `/readyz` says: the state of the server's parts, and how far telemetry lags behind. */

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'unavailable';
  readonly parts: Readonly<Record<string, 'ok' | 'unreachable'>>;
  readonly telemetry: { readonly lagMs: number | null; readonly spooledBytes: number };
}

/** Needs no session. An unavailable server answers 503 with the same body. */
export async function readiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetch('/readyz', { signal });
  return (await response.json()) as Readiness;
}
