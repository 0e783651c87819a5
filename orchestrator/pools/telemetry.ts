/** A pool's figures by OpenTelemetry's semantic conventions for database clients. */
import { type Histogram, metrics, type ObservableResult } from '@opentelemetry/api';

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

/** Registers the pool's instruments; what is given back takes the times of waiting and of use, in milliseconds. */
export function recordPool(pool: Observed): {
  waited(ms: number): void;
  used(ms: number): void;
} {
  const meter = metrics.getMeter('signalbox');
  const attributes = { [POOL_NAME]: pool.name };
  const observe = (
    kind: 'createObservableUpDownCounter' | 'createObservableCounter',
    what: string,
    unit: string,
    look: (result: ObservableResult) => void,
  ) => meter[kind](`db.client.connection.${what}`, { unit }).addCallback(look);

  observe('createObservableUpDownCounter', 'count', '{connection}', (result) => {
    result.observe(pool.usedCount, { ...attributes, [STATE]: 'used' });
    result.observe(pool.idleCount, { ...attributes, [STATE]: 'idle' });
  });
  observe('createObservableUpDownCounter', 'max', '{connection}', (result) =>
    result.observe(pool.max, attributes),
  );
  observe('createObservableUpDownCounter', 'pending_requests', '{request}', (result) =>
    result.observe(pool.waitingCount, attributes),
  );
  observe('createObservableCounter', 'timeouts', '{timeout}', (result) =>
    result.observe(pool.timeouts, attributes),
  );
  const time = (what: string): Histogram =>
    meter.createHistogram(`db.client.connection.${what}`, { unit: 's' });
  const waitTime = time('wait_time');
  const useTime = time('use_time');
  return {
    waited: (ms) => waitTime.record(ms / MS_A_SECOND, attributes),
    used: (ms) => useTime.record(ms / MS_A_SECOND, attributes),
  };
}
