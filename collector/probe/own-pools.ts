/** Samples of connection pools that live in this very process. */
import type { PoolSample } from '../../domain/events.ts';
import type { Clock } from '../../domain/time.ts';

/** A `pg.Pool`, or anything that counts as it does. */
export interface OwnPool {
  readonly name: string;
  /** Name of the server it connects to, where one is watched. */
  readonly server: string;
  readonly pool: {
    readonly totalCount: number;
    readonly idleCount: number;
    readonly waitingCount: number;
    readonly options: { readonly max?: number };
  };
}

export interface OwnPoolProbeOptions {
  readonly pools: readonly OwnPool[];
  readonly instance: string;
  readonly clock: Clock;
  record(samples: readonly PoolSample[]): Promise<void>;
}

const SAMPLE_EVERY_MS = 1_000;
/** What `pg.Pool` takes where no ceiling is given. */
const PG_POOL_DEFAULT_MAX = 10;

/** Makes the probe; it samples between `start` and `stop`. */
export function createOwnPoolProbe(options: OwnPoolProbeOptions) {
  let timer: NodeJS.Timeout | undefined;
  return {
    start() {
      if (options.pools.length === 0) return;
      timer ??= setInterval(() => {
        const at = options.clock.now();
        void options.record(options.pools.map((own) => sample(own, options.instance, at)));
      }, SAMPLE_EVERY_MS);
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

function sample({ name, server, pool }: OwnPool, instance: string, at: number): PoolSample {
  return {
    at,
    pool: name,
    kind: 'postgres-client',
    instance,
    server,
    used: pool.totalCount - pool.idleCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
    max: pool.options.max ?? PG_POOL_DEFAULT_MAX,
    reserved: 0,
    timeouts: 0,
    holders: '[]',
  };
}
