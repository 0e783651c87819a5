import { describe, expect, it } from 'vitest';
import { momentOf } from '../../../orchestrator/deadlines/moment.ts';

const at = (text: string) => Date.parse(text);
const base = {
  scheduledAt: at('2026-03-28T02:00:00Z'),
  logicalDate: at('2026-03-27T02:00:00Z'),
  createdAt: at('2026-03-28T02:00:05Z'),
};
const of = { name: 'deadline', onMiss: 'record' } as const;

describe('the moment of a deadline', () => {
  it('is a span after the moment that it is counted from', () => {
    const moments = (['scheduled', 'queued', 'logical-date'] as const).map((from) =>
      new Date(momentOf({ ...of, afterMs: 3_600_000, from }, base)).toISOString(),
    );
    expect(moments).toEqual([
      '2026-03-28T03:00:00.000Z',
      '2026-03-28T03:00:05.000Z',
      '2026-03-27T03:00:00.000Z',
    ]);
  });

  it('is a time of the day on the clocks of its timezone, also on the day on which they change', () => {
    const six = { ...of, at: '06:00', timezone: 'Europe/Berlin' };
    const moment = (scheduledAt: string) =>
      new Date(momentOf(six, { ...base, scheduledAt: at(scheduledAt) })).toISOString();
    expect(moment('2026-03-28T02:00:00Z')).toBe('2026-03-28T05:00:00.000Z');
    expect(moment('2026-03-29T02:00:00Z')).toBe('2026-03-29T04:00:00.000Z');
    expect(moment('2026-03-29T04:00:00Z')).toBe('2026-03-30T04:00:00.000Z');
  });
});
