/**
 * Runs the background steps: each in turn with itself, periodically and on a nudge, while this server holds
 * its lease. A step that fails is tried again at its next time, and says so once.
 */
import type { Reconciler } from '../../orchestrator/service.ts';
import type { Leases } from './leases.ts';

export interface ReconcileOptions {
  readonly reconcilers: readonly Reconciler[];
  readonly leases: Pick<Leases, 'isHeld'>;
  log(message: string): void;
  /** Told after each round, with how long it took. */
  observe(name: string, seconds: number, ok: boolean): void;
}

interface Step {
  readonly reconciler: Reconciler;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
  nudged: boolean;
  lastError: string | undefined;
}

export function createReconcileLoop({ reconcilers, leases, log, observe }: ReconcileOptions) {
  const steps = reconcilers.map(
    (reconciler): Step => ({
      reconciler,
      timer: undefined,
      running: undefined,
      nudged: false,
      lastError: undefined,
    }),
  );
  let stopped = true;

  function schedule(step: Step, afterMs: number): void {
    if (stopped) return;
    clearTimeout(step.timer);
    step.timer = setTimeout(() => start(step), afterMs);
  }

  function start(step: Step): void {
    if (stopped || step.running) return;
    if (!leases.isHeld(step.reconciler.name)) {
      schedule(step, step.reconciler.everyMs);
      return;
    }
    step.nudged = false;
    step.running = run(step).finally(() => {
      step.running = undefined;
      schedule(step, step.nudged ? 0 : step.reconciler.everyMs);
    });
  }

  async function run(step: Step): Promise<void> {
    const { name } = step.reconciler;
    const startedAt = performance.now();
    try {
      await step.reconciler.run();
      if (step.lastError !== undefined) log(`${name} works again`);
      step.lastError = undefined;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (text !== step.lastError) log(`${name} failed: ${text}`);
      step.lastError = text;
    }
    observe(name, (performance.now() - startedAt) / 1_000, step.lastError === undefined);
  }

  return {
    start(): void {
      stopped = false;
      for (const step of steps) schedule(step, 0);
    },
    /** Runs the steps that `pick` chooses at once, or again when they are done. */
    nudge(pick: (name: string) => boolean): void {
      for (const step of steps) {
        if (stopped || !pick(step.reconciler.name)) continue;
        step.nudged = true;
        if (!step.running) schedule(step, 0);
      }
    },
    /** Resolves when nothing runs any more. */
    async stop(): Promise<void> {
      stopped = true;
      for (const step of steps) clearTimeout(step.timer);
      await Promise.all(steps.map(({ running }) => running));
    },
  };
}
