import { describe, expect, it } from 'vitest';
import { instantOf, wallTime } from '../../console/src/parts/zones.ts';

const at = (iso: string) => Date.parse(iso);

describe('a wall time of a form', () => {
  it('is the instant at which clocks of its zone show it', () => {
    expect(instantOf('2026-03-01T01:00', 'UTC')).toBe(at('2026-03-01T01:00Z'));
    expect(instantOf('2026-03-01T01:00', 'Europe/Berlin')).toBe(at('2026-03-01T00:00Z'));
    expect(instantOf('2026-07-01T01:00', 'Europe/Berlin')).toBe(at('2026-06-30T23:00Z'));
    expect(instantOf('2026-07-01T00:00', 'Pacific/Auckland')).toBe(at('2026-06-30T12:00Z'));
    expect(instantOf('2026-01-01T00:00', 'Asia/Kolkata')).toBe(at('2025-12-31T18:30Z'));
  });

  it('is moved on where clocks jump over it, and is the first where it comes twice', () => {
    expect(instantOf('2026-03-29T02:30', 'Europe/Berlin')).toBe(at('2026-03-29T01:30Z'));
    expect(instantOf('2026-10-25T02:30', 'Europe/Berlin')).toBe(at('2026-10-25T00:30Z'));
  });

  it('comes back as it was written', () => {
    for (const zone of ['UTC', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia']) {
      const instant = instantOf('2026-11-24T03:14', zone) ?? 0;
      expect(wallTime(instant, zone)).toBe('2026-11-24 03:14');
    }
  });

  it('is none where the text is none', () => {
    expect(instantOf('', 'UTC')).toBeNull();
    expect(instantOf('2026-13-01T00:00', 'UTC')).toBeNull();
  });
});
