import { expect, it } from 'vitest';
import { freshnessSpans } from '../../console/src/pages/asset/freshness-spans.ts';
import { NO_POLICY } from '../../domain/asset.ts';

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const policy = { ...NO_POLICY, warnAfterMs: 50 * MINUTE, failAfterMs: 60 * MINUTE };

function version(
  dataMinute: number,
  recordedMinute = dataMinute,
  provenance: 'computed' | 'fallback' = 'computed',
) {
  const at = (minute: number) => new Date(START + minute * MINUTE).toISOString();
  return { at: at(dataMinute), recordedAt: at(recordedMinute), provenance };
}

const tell = (versions: ReturnType<typeof version>[], untilMinute: number) =>
  freshnessSpans(versions, policy, START, START + untilMinute * MINUTE).map(
    ({ freshness, toMs }) => `${freshness} until ${Math.round((toMs - START) / MINUTE)}`,
  );

it('goes from fresh over warning to stale as its data ages', () => {
  expect(tell([version(0)], 90)).toEqual(['fresh until 50', 'warning until 60', 'stale until 90']);
});

it('is unknown before the first version', () => {
  expect(tell([version(10)], 30)).toEqual(['unknown until 10', 'fresh until 30']);
});

it('is not made fresh by old data that is recorded late', () => {
  expect(tell([version(0), version(-100, 70)], 80)).toEqual([
    ...['fresh until 50', 'warning until 60', 'stale until 80'],
  ]);
});

it('is degraded while a fallback is served', () => {
  expect(tell([version(0), version(0, 65, 'fallback'), version(80)], 90)).toEqual([
    ...[
      'fresh until 50',
      'warning until 60',
      'stale until 65',
      'degraded until 80',
      'fresh until 90',
    ],
  ]);
});
