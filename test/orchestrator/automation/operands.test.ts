/** What each operand says, and what it says of it. */
import {
  type AutomationRule,
  allUpstreamsUpdatedSince,
  any,
  anyUpstreamCheckFailed,
  anyUpstreamFailed,
  anyUpstreamInProgress,
  anyUpstreamMissing,
  anyUpstreamUpdated,
  checksPassed,
  codeVersionChanged,
  cronTick,
  eager,
  failed,
  freshnessFailing,
  initial,
  inProgress,
  missing,
  newlyMissing,
  newlyRequested,
  newlyUpdated,
  onCron,
  stale,
} from 'signalbox';
import { describe, expect, it } from 'vitest';
import type { Subject } from '../../../orchestrator/automation/facts.ts';
import { HOUR, idAt, look, MINUTE, madeAt, own, subjectOf, T0, upstream } from './facts.ts';

function said(condition: AutomationRule, more: Partial<Subject> = {}, now = T0) {
  const { condition: result } = look(subjectOf(condition, more), now);
  return [result?.met, result?.detail];
}

describe('operands about the asset itself', () => {
  it('missing is true until it was made once', () => {
    expect(said(missing())).toEqual([true, 'it was never made']);
    expect(said(missing(), { own: madeAt(T0 - HOUR) })).toEqual([
      false,
      'it was made 2026-03-10 05:00:00 UTC',
    ]);
  });

  it('newly missing is true until automation has asked for it', () => {
    const first = look(subjectOf(newlyMissing()));
    expect([first.decision, first.condition?.met]).toEqual(['requested', true]);
    const memory = { ...first.memory, missingAsked: true, requests: 1 };
    expect(said(newlyMissing(), { memory })).toEqual([
      false,
      'it is missing, and was asked for already',
    ]);
  });

  it('newly updated is true in the one look that finds a new version', () => {
    const made = { own: madeAt(T0 - HOUR) };
    const first = look(subjectOf(newlyUpdated(), made));
    expect(first.condition?.met).toBe(false);
    const next = { own: madeAt(T0 - MINUTE), memory: first.memory };
    const second = look(subjectOf(newlyUpdated(), next));
    expect(second.condition?.met).toBe(true);
    const third = look(subjectOf(newlyUpdated(), { ...next, memory: second.memory }));
    expect(third.condition?.met).toBe(false);
  });

  it('newly requested is true in the look after a request', () => {
    const first = look(subjectOf(missing()));
    expect(first.memory.requestedLast).toBe(true);
    expect(said(newlyRequested(), { memory: first.memory })[0]).toBe(true);
    expect(said(newlyRequested())[0]).toBe(false);
  });

  it('in progress names the run', () => {
    const runId = idAt(T0 - MINUTE, 7);
    const busy = own({ inProgress: { runId, since: T0 - MINUTE } });
    expect(said(inProgress(), { own: busy })).toEqual([
      true,
      `in progress in run ${runId} since 2026-03-10 05:59:00 UTC`,
    ]);
  });

  it('failed tells when, in which run and why', () => {
    const bad = own({ failed: { at: T0 - MINUTE, runId: null, message: 'no disk' } });
    expect(said(failed(), { own: bad })).toEqual([
      true,
      'it failed 2026-03-10 05:59:00 UTC (no disk)',
    ]);
    expect(said(failed())[0]).toBe(false);
  });

  it('code version changed compares the code with that which made it', () => {
    const made = madeAt(T0 - HOUR, { codeVersion: '2', madeByCode: '1' });
    expect(said(codeVersionChanged(), { own: made })).toEqual([
      true,
      'its code is version 2, it was made by 1',
    ]);
    expect(said(codeVersionChanged(), { own: { ...made, madeByCode: '2' } })[0]).toBe(false);
  });

  it('stale tells the causes, and asks once for each set of them', () => {
    const cause = { reason: 'upstream-changed' as const, upstream: 'a/up', partition: null };
    const made = madeAt(T0 - HOUR, { stale: [{ ...cause, detail: 'a/up has new data' }] });
    const subject = subjectOf(stale(), { own: made, upstreams: [upstream('a/up', T0 - MINUTE)] });
    const first = look(subject);
    expect([first.decision, first.condition?.detail]).toEqual(['requested', 'a/up has new data']);
    const request = { runId: idAt(T0), at: T0, cause: first.cause ?? '', own: null };
    const again = look({ ...subject, memory: { ...first.memory, request } });
    expect(again.reason.code).toBe('already-requested');
    const newer = look({
      ...subject,
      memory: { ...first.memory, request },
      upstreams: [upstream('a/up', T0)],
    });
    expect(newer.decision).toBe('requested');
  });

  it('freshness failing is true where the policy says stale', () => {
    expect(said(freshnessFailing(), { own: madeAt(T0, { freshness: 'stale' }) })[0]).toBe(true);
    expect(said(freshnessFailing(), { own: madeAt(T0, { freshness: 'warning' }) })[0]).toBe(false);
  });

  it('checks passed is false where one of severity error failed, and names it', () => {
    const check = { name: 'rows', passed: false, severity: 'error' as const, at: T0 };
    expect(said(checksPassed(), { own: own({ checks: [check] }) })).toEqual([
      false,
      'rows failed 2026-03-10 06:00:00 UTC',
    ]);
    const warns = own({ checks: [{ ...check, severity: 'warn' }] });
    expect(said(checksPassed(), { own: warns })[0]).toBe(true);
  });

  it('initial is true in the first look under a condition, and again when it was changed', () => {
    const first = look(subjectOf(initial()));
    expect(first.condition?.met).toBe(true);
    expect(said(initial(), { memory: first.memory })[0]).toBe(false);
    expect(said(any(initial(), failed()), { memory: first.memory })[0]).toBe(true);
  });
});

describe('operands about upstreams', () => {
  const made = madeAt(T0 - HOUR, { inputs: [['a/up', null, idAt(T0 - 2 * HOUR), 'old']] });

  it('any upstream updated compares with the version that it was made from', () => {
    const same = { own: made, upstreams: [upstream('a/up', T0 - 2 * HOUR)] };
    expect(said(anyUpstreamUpdated(), same)).toEqual([
      false,
      'no upstream was updated since what it was made from (2026-03-10 04:59:00 UTC)',
    ]);
    const newer = { own: made, upstreams: [upstream('a/up', T0 - 90 * MINUTE)] };
    expect(said(anyUpstreamUpdated(), newer)).toEqual([
      true,
      'a/up was updated 2026-03-10 04:30:00 UTC',
    ]);
  });

  it('an upstream whose version nobody read counts from when the run began', () => {
    const silent = madeAt(T0 - HOUR, { inputs: [] });
    const before = { own: silent, upstreams: [upstream('a/up', T0 - HOUR - 2 * MINUTE)] };
    expect(said(anyUpstreamUpdated(), before)[0]).toBe(false);
    // Recorded while the run was under way: it may not have seen it.
    const during = { own: silent, upstreams: [upstream('a/up', T0 - HOUR - MINUTE / 2)] };
    expect(said(anyUpstreamUpdated(), during)[0]).toBe(true);
  });

  it('a fallback that was read counts as the version that it stands for', () => {
    const from = madeAt(T0 - HOUR, {
      inputs: [['a/up', null, idAt(T0, 9), `data ${T0 - 2 * HOUR}`]],
    });
    const same = { own: from, upstreams: [upstream('a/up', T0 - 2 * HOUR)] };
    expect(said(anyUpstreamUpdated(), same)[0]).toBe(false);
  });

  it('only and ignore say which upstreams count', () => {
    const two = {
      own: made,
      upstreams: [upstream('a/up', T0 - 2 * HOUR), upstream('a/other', T0 - MINUTE)],
    };
    expect(said(anyUpstreamUpdated(), two)[0]).toBe(true);
    expect(said(anyUpstreamUpdated({ ignore: ['a/other'] }), two)[0]).toBe(false);
    expect(said(anyUpstreamUpdated({ only: [{ key: 'a/other' }] }), two)[0]).toBe(true);
  });

  it('any upstream missing tells one that nobody knows from one that was never made', () => {
    const gone = {
      upstreams: [upstream('a/up', null), upstream('a/b', null, { missing: '2026-03-09' })],
    };
    expect(said(anyUpstreamMissing(), gone)).toEqual([
      true,
      'a/up was never made; a/b (partition 2026-03-09) was never made',
    ]);
    const unknown = { upstreams: [upstream('a/typo', null, { known: false })] };
    expect(said(anyUpstreamMissing(), unknown)[1]).toBe(
      'a/typo is not known: nobody declares, makes or reports it',
    );
  });

  it('any upstream in progress, failed, or with a failed check names it', () => {
    const runId = idAt(T0 - MINUTE, 3);
    const busy = upstream('a/up', T0, { inProgress: { runId, since: T0 - MINUTE } });
    expect(said(anyUpstreamInProgress(), { upstreams: [busy] })[1]).toBe(
      `a/up, in progress in run ${runId} since 2026-03-10 05:59:00 UTC`,
    );
    const bad = upstream('a/up', T0, { failed: { at: T0, runId, message: 'no disk' } });
    expect(said(anyUpstreamFailed(), { upstreams: [bad] })[1]).toBe(
      `a/up, which failed 2026-03-10 06:00:00 UTC in run ${runId} (no disk)`,
    );
    const check = { name: 'rows', passed: false, severity: 'error' as const, at: T0 };
    const unsure = upstream('a/up', T0, { failedChecks: [check] });
    expect(said(anyUpstreamCheckFailed(), { upstreams: [unsure] })).toEqual([
      true,
      'rows of a/up failed 2026-03-10 06:00:00 UTC',
    ]);
  });

  it('all upstreams updated since a tick names those that are late', () => {
    const cron = '0 5 * * *';
    const late = { upstreams: [upstream('a/up', T0 - 2 * HOUR), upstream('a/b', T0 - MINUTE)] };
    expect(said(allUpstreamsUpdatedSince(cron), late)).toEqual([
      false,
      'not updated since the tick of 2026-03-10 05:00:00 UTC: a/up was last updated 2026-03-10 04:00:00 UTC',
    ]);
    const there = { upstreams: [upstream('a/up', T0 - HOUR), upstream('a/b', T0 - MINUTE)] };
    expect(said(allUpstreamsUpdatedSince(cron), there)[0]).toBe(true);
  });
});

describe('ticks of a cron', () => {
  const cron = '0 6 * * *';
  const crons = { '0 6 * * * UTC': T0 - 20 * HOUR };

  it('count from when the cron was declared, and until it was asked for or made', () => {
    expect(said(cronTick(cron), { crons })).toEqual([
      true,
      'the tick of 2026-03-10 06:00:00 UTC is not done with',
    ]);
    expect(said(cronTick(cron), { crons }, T0 - 1)[0]).toBe(false);
    expect(said(cronTick(cron), { crons: { '0 6 * * * UTC': T0 } })[0]).toBe(false);
    const after = madeAt(T0 + 2 * MINUTE);
    expect(said(cronTick(cron), { crons, own: after }, T0 + HOUR)[0]).toBe(false);
    // Its run began before the tick.
    const across = madeAt(T0 + MINUTE / 2);
    expect(said(cronTick(cron), { crons, own: across }, T0 + HOUR)[0]).toBe(true);
  });

  it('a tick whose upstreams are late holds the asset back, and says for whom it waits', () => {
    const subject = subjectOf(onCron(cron), {
      crons,
      own: madeAt(T0 - 24 * HOUR),
      upstreams: [upstream('a/up', T0 - HOUR)],
    });
    const found = look(subject, T0 + MINUTE);
    expect(found).toMatchObject({
      decision: 'held',
      reason: { code: 'upstream-not-updated', upstream: 'a/up' },
    });
    const there = look({ ...subject, upstreams: [upstream('a/up', T0 + MINUTE)] }, T0 + HOUR);
    expect(there.decision).toBe('requested');
  });

  it('clocks that went back neither repeat a tick nor swallow those that follow', () => {
    const day = 24 * HOUR;
    const ahead = subjectOf(cronTick(cron), { crons });
    const first = look(ahead, T0 + day + HOUR);
    expect(first.decision).toBe('requested');
    const memory = { ...first.memory, handledAt: T0 + day + HOUR };
    // Back by a day: what was done with stays so.
    const back = look({ ...ahead, memory }, T0 + HOUR);
    expect(back.condition?.met).toBe(false);
    const next = look({ ...ahead, memory: back.memory }, T0 + day + MINUTE);
    expect(next.condition?.met).toBe(true);
  });

  it('of a local time that clocks skip comes once, and of one that they repeat once', () => {
    const zone = { timezone: 'Europe/Berlin' };
    const ticksIn = (from: number, to: number, of: string) => {
      const name = `${of} Europe/Berlin`;
      let subject = subjectOf(cronTick(of, zone), { crons: { [name]: from } });
      const asked: string[] = [];
      for (let now = from; now <= to; now += 5 * MINUTE) {
        const { decision, memory } = look(subject, now);
        const handledAt = decision === 'requested' ? now : memory.handledAt;
        if (decision === 'requested') asked.push(new Date(now).toISOString());
        subject = { ...subject, memory: { ...memory, handledAt } };
      }
      return asked;
    };
    const spring = Date.UTC(2026, 2, 28, 12);
    expect(ticksIn(spring, spring + 24 * HOUR, '30 2 * * *')).toEqual(['2026-03-29T01:30:00.000Z']);
    const autumn = Date.UTC(2026, 9, 24, 12);
    expect(ticksIn(autumn, autumn + 24 * HOUR, '30 2 * * *')).toEqual(['2026-10-25T00:30:00.000Z']);
  });
});

describe('what holds any asset back', () => {
  const runId = idAt(T0 - MINUTE, 5);
  const up = upstream('a/up', T0 - MINUTE);

  it('is itself in progress, an upstream in progress, or one that has failed', () => {
    const busy = subjectOf(missing(), { own: own({ inProgress: { runId, since: T0 } }) });
    expect(look(busy).reason).toMatchObject({ code: 'in-progress', runId });
    const waits = subjectOf(eager(), { upstreams: [{ ...up, inProgress: { runId, since: T0 } }] });
    expect(look(waits)).toMatchObject({
      decision: 'held',
      reason: { code: 'upstream-in-progress', upstream: 'a/up', runId },
    });
    const failing = { ...up, failed: { at: T0, runId, message: 'no disk' } };
    expect(look(subjectOf(eager(), { upstreams: [failing] })).reason).toMatchObject({
      code: 'upstream-failed',
      message: expect.stringContaining('(no disk)'),
    });
  });

  it('does not where the condition ignores the upstream, or the definition does not wait', () => {
    const failing = { ...up, failed: { at: T0, runId, message: 'no disk' } };
    const ignoring = subjectOf(eager({ ignore: ['a/up'] }), { upstreams: [failing] });
    expect(look(ignoring).decision).toBe('requested');
    const subject = subjectOf(eager(), { upstreams: [failing] });
    const definition = { ...subject.definition, waitForUpstreams: false };
    expect(look({ ...subject, definition }).decision).toBe('requested');
  });

  it('does not where the same round makes the upstream', () => {
    const failing = upstream('a/up', null, { failed: { at: T0, runId, message: 'no disk' } });
    const subject = subjectOf(eager(), { upstreams: [failing] });
    expect(look(subject).decision).toBe('held');
    const coming = look(subject, T0, new Map([['a/up', new Set([''])]]));
    expect([coming.decision, coming.joins]).toEqual(['requested', ['a/up']]);
  });

  it('is a pause, which names who paused it', () => {
    const paused = { at: T0 - HOUR, by: 'token:ann', all: false };
    expect(look(subjectOf(missing(), { paused })).reason).toEqual({
      code: 'paused',
      message: 'is called for, but it is paused by token:ann since 2026-03-10 05:00:00 UTC',
    });
    expect(look(subjectOf(missing(), { paused, own: madeAt(T0) })).decision).toBe('idle');
  });
});

describe('a request whose run did not make it', () => {
  const request = { runId: idAt(T0 - HOUR, 1), at: T0 - HOUR, cause: 'x', own: null };
  const memory = { ...look(subjectOf(eager())).memory, request, missingAsked: true, requests: 1 };

  it('is told until something new calls for it', () => {
    const failing = own({ failed: { at: T0, runId: request.runId, message: 'no disk' } });
    const subject = subjectOf(eager(), { own: failing, memory });
    expect(look(subject)).toMatchObject({
      decision: 'held',
      reason: { code: 'run-failed', message: expect.stringContaining('failed (no disk)') },
    });
    const cancelled = subjectOf(eager(), { own: own({ requestEnded: 'cancelled' }), memory });
    expect(look(cancelled).reason.message).toContain('was cancelled');
    const newer = subjectOf(eager(), {
      own: failing,
      memory,
      upstreams: [upstream('a/up', T0 - MINUTE)],
    });
    expect(look(newer).decision).toBe('requested');
  });

  it('is asked for again at once, then ever more seldom, where the condition calls for it', () => {
    const failedIn = (runId: string) => own({ failed: { at: T0, runId, message: 'no disk' } });
    const waits: number[] = [];
    let now = T0;
    let subject = subjectOf(failed(), { memory });
    for (let round = 1; round <= 5; round += 1) {
      const runId = idAt(now, round);
      const request = { runId, at: now, cause: `${round}`, own: null };
      const found = look(
        { ...subject, own: failedIn(runId), memory: { ...subject.memory, request } },
        now,
      );
      waits.push((found.againAt ?? now) - now);
      now = found.againAt ?? now;
      subject = { ...subject, memory: found.memory };
      expect(look({ ...subject, own: failedIn(runId) }, now).decision).toBe('requested');
    }
    expect(waits.map((ms) => ms / MINUTE)).toEqual([0, 1, 2, 4, 8]);
  });
});
