import { expect, it } from 'vitest';
import type { Assignment, LogLine } from '../../../domain/agent-protocol.ts';
import { systemClock } from '../../../domain/time.ts';
import { LogBuffer } from '../../../orchestrator/agent/log-buffer.ts';
import { ConnectionLost } from '../../../orchestrator/agent/transport.ts';
import { waitFor } from '../../support/wait-for.ts';

const assignment = (taskKey: string): Assignment => ({
  ...{ runId: 'r', workflow: 'w', version: '1', taskKey, kind: 'task', attempt: 1, token: taskKey },
  ...{ parameters: {}, logicalDate: null, dataInterval: null, timeoutMs: null, traceparent: null },
});

const CHATTY = assignment('chatty');
const QUIET = assignment('quiet');

function collecting() {
  const lines: LogLine[] = [];
  const calls: number[] = [];
  const buffer = new LogBuffer(systemClock, async (request) => {
    calls.push(request.lines.length);
    lines.push(...request.lines);
  });
  const of = (taskKey: string) => lines.filter((line) => line.taskKey === taskKey);
  return { buffer, lines, calls, of };
}

it('keeps a bounded part of a million lines, says how many are missing, and takes no line of another task', async () => {
  const { buffer, of } = collecting();
  const log = buffer.of(CHATTY);
  const startedAt = performance.now();
  for (let n = 0; n < 1_000_000; n++) log.info(`line ${n}`);
  const tookMs = performance.now() - startedAt;
  for (let n = 0; n < 100; n++) buffer.of(QUIET).info(`quiet ${n}`);
  await buffer.flush();
  expect(tookMs).toBeLessThan(3_000);
  expect(of('quiet').map(({ message }) => message)).toEqual(
    Array.from({ length: 100 }, (_, n) => `quiet ${n}`),
  );
  const said = of('chatty');
  const kept = said.filter(({ message }) => message.startsWith('line '));
  expect(kept.length).toBeGreaterThan(1_000);
  expect(kept.length).toBeLessThan(100_000);
  const dropped = said
    .filter(({ message }) => /^\d+ lines were dropped/.test(message))
    .reduce((sum, { attributes }) => sum + Number(attributes['dropped']), 0);
  expect(kept.length + dropped).toBe(1_000_000);
});

it('still takes warnings and errors of a task that printed too much', async () => {
  const { buffer, of } = collecting();
  const log = buffer.of(CHATTY);
  for (let n = 0; n < 50_000; n++) log.info(`line ${n}`);
  log.error('the cause');
  await buffer.flush();
  expect(of('chatty').map(({ message }) => message)).toContain('the cause');
});

it('cuts a line of a hundred megabytes, and keeps nothing of the rest in memory', async () => {
  const { buffer, lines } = collecting();
  buffer.of(CHATTY).info('x'.repeat(100_000_000), { note: 'kept' });
  await buffer.flush();
  expect(lines[0]?.message).toMatch(/^x{16384}… \(the first 16384 of 100000000 characters\)$/);
  expect(lines[0]?.attributes).toEqual({ note: 'kept' });
});

it('gives each task its share of every call', async () => {
  const first: string[] = [];
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const buffer = new LogBuffer(systemClock, async ({ lines }) => {
    first.push(...new Set(lines.map(({ taskKey }) => taskKey)));
    await held;
  });
  const log = buffer.of(CHATTY);
  for (let n = 0; n < 4_000; n++) log.info(`line ${n}`);
  buffer.of(QUIET).info('one');
  await waitFor(() => first.includes('quiet'), { what: 'the line of the quiet task' });
  expect(first.slice(0, 2).sort()).toEqual(['chatty', 'quiet']);
  release();
  await buffer.flush();
});

it('sends lines again that a server which is away did not take, in their order', async () => {
  let refusals = 2;
  const lines: LogLine[] = [];
  const buffer = new LogBuffer(systemClock, async (request) => {
    refusals -= 1;
    if (refusals >= 0) throw new ConnectionLost('away', undefined);
    lines.push(...request.lines);
  });
  const log = buffer.of(QUIET);
  for (let n = 0; n < 3; n++) log.info(`line ${n}`);
  await waitFor(() => lines.length === 3, { what: 'the lines' });
  expect(lines.map(({ message, seq }) => [message, seq])).toEqual([
    ['line 0', 1],
    ['line 1', 2],
    ['line 2', 3],
  ]);
});
