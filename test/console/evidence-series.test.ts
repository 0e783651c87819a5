import { expect, it } from 'vitest';
import { seriesOf } from '../../console/src/pages/incident/series.ts';

const row = (second: number, pool: string, used: number) => ({
  at: `2026-01-01 03:00:0${second}.000`,
  pool,
  used,
});

it('reads a course over time out of rows as ClickHouse writes them, in UTC', () => {
  const series = seriesOf({
    rows: [row(2, 'orders', 30), row(0, 'orders', 10), row(1, 'orders', 20)],
    threshold: { max: 40, holdMs: 10_000 },
  });
  expect(series?.seconds[0]).toBe(Date.UTC(2026, 0, 1, 3) / 1_000);
  expect(series?.lines).toEqual([{ name: 'used', values: [10, 20, 30] }]);
  expect(series?.thresholds).toEqual([{ name: 'max', value: 40 }]);
});

it('makes one line for each thing that the rows are of, with gaps where one is missing', () => {
  const series = seriesOf({
    rows: [row(0, 'a', 1), row(0, 'b', 5), row(1, 'a', 2), row(2, 'b', 7)],
    threshold: {},
  });
  expect(series?.lines).toEqual([
    { name: 'a used', values: [1, 2, null] },
    { name: 'b used', values: [5, null, 7] },
  ]);
});

it('takes numbers that come as text, and Unix milliseconds as moments', () => {
  const rows = [1, 2, 3].map((step) => ({ t: 1_767_236_400_000 + step * 1_000, n: String(step) }));
  expect(seriesOf({ rows, threshold: {} })?.lines[0]?.values).toEqual([1, 2, 3]);
});

it.each([
  ['no rows', []],
  ['rows without a moment', [{ a: 1 }, { a: 2 }, { a: 3 }]],
  ['too few moments', [row(0, 'a', 1), row(0, 'b', 1), row(1, 'a', 1)]],
  ['no numbers', [0, 1, 2].map((step) => ({ at: `2026-01-01T03:00:0${step}Z`, what: 'x' }))],
])('draws no chart of %s', (_what, rows) => {
  expect(seriesOf({ rows, threshold: {} })).toBeNull();
});

it('draws the ceiling that the rows carry and the level at which it counts as full, and no flat line', () => {
  const rows = [1, 2, 3].map((step) => ({
    at: `2026-01-01T03:00:0${step}Z`,
    used: step,
    max: 20,
    timeouts: 0,
  }));
  const series = seriesOf({ rows, threshold: { levelRatio: 0.9, leakLeastSessions: 8 } });
  expect(series?.thresholds).toEqual([
    { name: 'max', value: 20 },
    { name: 'level 0.9', value: 18 },
  ]);
  expect(series?.lines.map(({ name }) => name)).toEqual(['used']);
});
