/** When a long-running command is to end: by signal, or when the supervisor that started it is gone. */

const SECOND_SIGNAL_CODE = 130;

/**
 * Aborts at SIGTERM, SIGINT, SIGHUP, and at the end of the supervisor's channel where there is one. A second
 * signal ends the process at once.
 */
export function endSignal(): AbortSignal {
  const controller = new AbortController();
  const supervised = process.connected === true;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && name !== 'SIGHUP') process.exit(SECOND_SIGNAL_CODE);
      controller.abort();
    });
  }
  if (supervised) process.on('disconnect', () => controller.abort());
  return controller.signal;
}

/** Tells the supervisor, where there is one. */
export function tellSupervisor(message: object): void {
  if (process.connected) process.send?.(message);
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
