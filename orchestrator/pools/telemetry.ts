/** A pool's figures by OpenTelemetry's semantic conventions for database clients. */
import { type Attributes, createNoopMeter, type Histogram, metrics } from '@opentelemetry/api';

interface Observed {
  readonly name: string;
  readonly usedCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly max: number;
  readonly timeouts: number;
}

const POOL_NAME = 'db.client.connection.pool.name';
const STATE = 'db.client.connection.state';
const MS_A_SECOND = 1_000;

/** Instruments of one pool; made when the process has an SDK, which may be set up after the pool. */
export class PoolTelemetry {
  readonly #pool: Observed;
  readonly #attributes: Attributes;
  #times: { readonly wait: Histogram; readonly use: Histogram } | undefined;

  constructor(pool: Observed) {
    this.#pool = pool;
    this.#attributes = { [POOL_NAME]: pool.name };
    this.register();
  }

  /** Registers the instruments where that has become possible. */
  register(): void {
    if (this.#times) return;
    const meter = metrics.getMeter('signalbox');
    if (meter === createNoopMeter()) return;
    const name = (what: string) => `db.client.connection.${what}`;
    const gauge = (what: string, unit: string, look: () => number) =>
      meter
        .createObservableUpDownCounter(name(what), { unit })
        .addCallback((result) => result.observe(look(), this.#attributes));
    gauge('max', '{connection}', () => this.#pool.max);
    gauge('pending_requests', '{request}', () => this.#pool.waitingCount);
    meter
      .createObservableUpDownCounter(name('count'), { unit: '{connection}' })
      .addCallback((result) => {
        result.observe(this.#pool.usedCount, { ...this.#attributes, [STATE]: 'used' });
        result.observe(this.#pool.idleCount, { ...this.#attributes, [STATE]: 'idle' });
      });
    meter
      .createObservableCounter(name('timeouts'), { unit: '{timeout}' })
      .addCallback((result) => result.observe(this.#pool.timeouts, this.#attributes));
    this.#times = {
      wait: meter.createHistogram(name('wait_time'), { unit: 's' }),
      use: meter.createHistogram(name('use_time'), { unit: 's' }),
    };
  }

  waited(ms: number): void {
    this.register();
    this.#times?.wait.record(ms / MS_A_SECOND, this.#attributes);
  }

  used(ms: number): void {
    this.#times?.use.record(ms / MS_A_SECOND, this.#attributes);
  }
}
