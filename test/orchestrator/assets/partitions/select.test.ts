import { describe, expect, it } from 'vitest';
import { partitionSet } from '../../../../orchestrator/assets/partitions/partition-set.ts';
import { keysInRange } from '../../../../orchestrator/assets/partitions/select.ts';
import { daily, monthly, staticPartitions } from '../../../../orchestrator/define/partitions.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const none = new Map();
const days = daily({ start: '2026-01-01' });
const months = monthly({ start: '2026-01-01' });
const regions = staticPartitions(['eu', 'us']);

describe('a range of partitions', () => {
  it('holds both ends, given as keys, dates or moments', () => {
    const set = partitionSet(days, NOW, none);
    expect(keysInRange(days, set, { from: '2026-01-02', to: '2026-01-04' })).toEqual({
      ...{ low: 1, high: 3 },
    });
    expect(keysInRange(days, set, { from: '2026-01-02T00:00:00Z' }).low).toBe(1);
  });

  it('is refused with its ends the wrong way round, which would silently do nothing', () => {
    const set = partitionSet(days, NOW, none);
    for (const from of ['2026-01-20', '2026-01-03']) {
      expect(() => keysInRange(days, set, { from, to: '2026-01-02' })).toThrow(/is after/);
    }
    const named = partitionSet(regions, NOW, none);
    expect(() => keysInRange(regions, named, { from: 'us', to: 'eu' })).toThrow(/is after/);
  });

  it('may be empty where no partition begins within it', () => {
    const set = partitionSet(months, NOW, none);
    const { low, high } = keysInRange(months, set, { from: '2026-01-10', to: '2026-01-20' });
    expect(high).toBeLessThan(low);
  });
});
