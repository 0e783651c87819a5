/** What a process costs and whether it stays responsive, by the names of OpenTelemetry's conventions. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { metrics } from '@opentelemetry/api';

const RESOLUTION_MS = 20;
const NS_PER_SECOND = 1e9;
const US_PER_SECOND = 1e6;

/** Registers the observations; they are made when metrics are exported. */
export function observeProcess(): void {
  const meter = metrics.getMeter('signalbox');
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  meter.createObservableGauge('nodejs.eventloop.delay.p99', { unit: 's' }).addCallback((result) => {
    result.observe(delay.percentile(99) / NS_PER_SECOND);
    delay.reset();
  });
  meter
    .createObservableUpDownCounter('process.memory.usage', { unit: 'By' })
    .addCallback((result) => result.observe(process.memoryUsage.rss()));
  meter.createObservableCounter('process.cpu.time', { unit: 's' }).addCallback((result) => {
    const { user, system } = process.cpuUsage();
    result.observe(user / US_PER_SECOND, { 'cpu.mode': 'user' });
    result.observe(system / US_PER_SECOND, { 'cpu.mode': 'system' });
  });
}
