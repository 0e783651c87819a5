import {
  type AutomationRule,
  all,
  allUpstreamsUpdatedSince,
  any,
  anyUpstreamUpdated,
  asset,
  cronTick,
  eager,
  inProgress,
  missing,
  not,
  onCron,
  onMissing,
  since,
} from 'signalbox';
import { describe, expect, it } from 'vitest';
import { textOf } from '../../../orchestrator/automation/words.ts';

const automationOf = (automation: unknown) =>
  asset('a/x', { automation: automation as AutomationRule }, () => 1).described.asset?.automation;

describe('the option automation', () => {
  it('is registered as plain JSON with limits that presets have of their own', () => {
    expect(automationOf(missing())).toEqual({
      condition: { kind: 'missing' },
      ...{ tellAfterMs: 86_400_000, partitions: 1, maxPartitionsPerRound: 20 },
      waitForUpstreams: true,
    });
    expect(automationOf(onMissing())?.partitions).toBe(10_000);
    expect(automationOf(any(eager(), onMissing()))?.partitions).toBe(10_000);
    expect(
      automationOf({
        ...{ condition: onMissing(), partitions: 7, tellAfter: '90m' },
        ...{ maxPartitionsPerRound: 3, waitForUpstreams: false },
      }),
    ).toMatchObject({
      ...{ partitions: 7, tellAfterMs: 5_400_000, maxPartitionsPerRound: 3 },
      waitForUpstreams: false,
    });
    expect(automationOf({ condition: eager(), partitions: 'all' })?.partitions).toBe(10_000);
    expect(automationOf(undefined)).toBeUndefined();
  });

  it('reads back as it was written', () => {
    const up = asset('a/up', {}, () => 1);
    for (const [rule, text] of [
      [eager({ ignore: [up] }), "eager({ ignore: ['a/up'] })"],
      [
        onCron('0 6 * * *', { timezone: 'Europe/Berlin' }),
        "onCron('0 6 * * *', { timezone: 'Europe/Berlin' })",
      ],
      [
        all(cronTick('@daily'), not(inProgress()), missing().newlyTrue()),
        "all(cronTick('@daily'), not(inProgress()), missing().newlyTrue())",
      ],
      [
        missing().since(anyUpstreamUpdated({ only: ['a/up'] })),
        "since(missing(), anyUpstreamUpdated({ only: ['a/up'] }))",
      ],
    ] as const) {
      expect(textOf(rule.json)).toBe(text);
    }
  });

  it('is refused where it is written, with words that help', () => {
    const wrong: readonly (readonly [() => unknown, string])[] = [
      [
        () => automationOf(missing),
        'must be a condition, such as eager(): call it, such as missing()',
      ],
      [() => automationOf('eager'), 'must be an object'],
      [
        () => automationOf({ condition: eager(), tellAfter: 0 }),
        'tellAfter: must be a duration above zero',
      ],
      [() => automationOf({ condition: eager(), partition: 3 }), 'did you mean "partitions"?'],
      [
        () => automationOf({ condition: eager(), partitions: 0 }),
        'partitions: must be a whole number',
      ],
      [() => all(), 'all needs at least one condition'],
      [() => not('x' as never), 'not must be a condition'],
      [() => since(missing(), undefined as never), 'since: the reset must be a condition'],
      [() => cronTick('0 6 * *'), 'cron'],
      [() => cronTick('0 0 30 2 *'), 'never comes'],
      [() => allUpstreamsUpdatedSince('@daily', { timezone: 'Mars/Base' }), 'Mars/Base'],
      [() => anyUpstreamUpdated({ only: ['a b'] }), 'without spaces'],
      [() => anyUpstreamUpdated({ only: ['a'], ignore: ['b'] }), 'exclude each other'],
    ];
    for (const [write, words] of wrong) expect(write).toThrow(words);
  });
});
