import {
  all,
  any,
  anyUpstreamMissing,
  anyUpstreamUpdated,
  asset,
  codeVersionChanged,
  eager,
  missing,
  not,
  onCron,
  onMissing,
  since,
  stale,
} from 'signalbox';
import { describe, expect, it } from 'vitest';
import { checkAutomation } from '../../../orchestrator/automation/register.ts';
import type { AutomationRule } from '../../../orchestrator/index.ts';
import { look, subjectOf } from './facts.ts';

const check = (automation: AutomationRule, ...dependsOn: string[]) => {
  checkAutomation(asset('a/x', { automation, dependsOn }, () => 1).described.asset);
};

describe('a condition that can never be true', () => {
  it.each<[string, AutomationRule, string[], RegExp]>([
    [
      'since it contradicts itself',
      all(missing(), not(missing())),
      ['a/up'],
      /^a\/x: automation: all\(missing\(\), not\(missing\(\)\)\) can never be true: nothing would ever make it$/,
    ],
    [
      'since it asks for upstreams, and there are none',
      anyUpstreamUpdated(),
      [],
      /can never be true \("any upstream updated" has no upstream to look at\)/,
    ],
    [
      'since what would trigger it cannot',
      since(anyUpstreamUpdated(), missing()),
      [],
      /can never be true/,
    ],
    [
      'since it waits for an asset that is no upstream',
      any(missing(), anyUpstreamUpdated({ only: ['a/upp'] })),
      ['a/up', 'a/other'],
      /a\/upp is not among its upstreams: they are a\/up, a\/other/,
    ],
  ])('%s is told to its file, with the reason', (_, rule, dependsOn, message) => {
    expect(() => check(rule, ...dependsOn)).toThrow(message);
  });

  it('is told from each that can', () => {
    for (const rule of [eager(), onMissing(), onCron('0 6 * * *'), stale(), missing()]) {
      check(rule);
      check(rule, 'a/up');
    }
    check(any(anyUpstreamUpdated(), missing()));
    check(all(missing(), not(anyUpstreamMissing())));
    check(since(missing(), not(missing())));
    check(anyUpstreamUpdated({ only: ['a/up'] }), 'a/up', 'a/other');
    check(onCron('0 6 * * *', { ignore: ['a/gone'] }), 'a/up');
  });
});

it('an asset that was never made does not say that its code made it', () => {
  const found = look(subjectOf(codeVersionChanged()));
  expect(found.condition?.detail).toBe('it was never made');
});
