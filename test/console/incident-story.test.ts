import { describe, expect, it } from 'vitest';
import { choicesFor } from '../../console/src/pages/incident/primary.ts';
import { storyOf } from '../../console/src/pages/incident/story.ts';
import type { Incident, IncidentEvent, IncidentEventType } from '../../domain/incident.ts';
import type { Execution } from '../../domain/runbook.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 3, 0, second)).toISOString();
const event = (type: IncidentEventType, second: number): IncidentEvent => ({
  ...{ at: at(second), type, reason: 'because', actor: 'signalbox', detail: {} },
});

function incident(of: Partial<Incident>): Incident {
  return {
    ...{ id: 'i', number: 1, kind: 'stale-asset', status: 'open', severity: 'error', title: 't' },
    ...{ rootCause: null, diagnosis: null, fingerprint: 'f', subjects: [], affected: [] },
    ...{ evidence: [], timeline: [], evidenceAt: at(0), detectedAt: at(5), acknowledgedAt: null },
    ...{ mitigatedAt: null, resolvedAt: null, needsHuman: false, executions: [] },
    ...of,
  };
}

function execution(of: Partial<Execution>): Execution {
  const call = (key: string, summary: string) => ({
    ...{ key, summary, lever: 'pools.resize', arguments: {}, before: 20, after: 40, undo: null },
  });
  return {
    ...{ id: 'e', incidentId: 'i', runbook: 'pool-resize', status: 'planned', mode: 'suggest' },
    plan: {
      ...{ runbook: 'pool-resize', version: '1', diagnosis: 'full', reasons: [] },
      calls: [call('a', 'raise pool orders 20 → 40'), call('b', 'tell the agents')],
      ...{ affected: [], owners: [], refusal: null },
    },
    ...{ guardrails: [], results: [], runId: null, requestedBy: 'signalbox', approvedBy: null },
    ...{ verdict: null, createdAt: at(6), actedAt: null, finishedAt: null },
    ...of,
  };
}

describe('the clock of an incident', () => {
  it('tells what came, how long each took, and what comes next', () => {
    const stages = storyOf(
      incident({ timeline: [event('opened', 5), event('planned', 7), event('acted', 10)] }),
      [],
    );
    expect(stages.map(({ state }) => state)).toEqual([
      ...['done', 'done', 'done', 'done'],
      ...['next', 'ahead'],
    ]);
    expect(stages.map(({ afterMs }) => afterMs)).toEqual([null, 5_000, 2_000, 3_000, null, null]);
  });

  it('says that an action was not needed where it recovered before one', () => {
    const stages = storyOf(
      incident({
        status: 'resolved',
        timeline: [event('opened', 5), event('recovery-seen', 20), event('verified', 30)],
        resolvedAt: at(30),
      }),
      [],
    );
    expect(stages.find(({ name }) => name === 'acted')?.state).toBe('not-needed');
    expect(stages.at(-1)).toMatchObject({ state: 'done', afterMs: 10_000 });
  });

  it('tells the newest round of an incident that was reopened', () => {
    const stages = storyOf(
      incident({
        timeline: [event('acted', 8), event('verified', 20), event('reopened', 60)],
      }),
      [execution({ createdAt: at(6), actedAt: at(8) })],
    );
    expect(stages.map(({ state }) => state).slice(1, 4)).toEqual(['done', 'next', 'ahead']);
  });
});

describe('the one thing to do', () => {
  it('is to approve the plan that waits, in the words of its first call', () => {
    const { primary, others } = choicesFor(incident({}), [
      execution({ status: 'awaiting-approval' }),
    ]);
    expect(primary?.label).toBe('Approve: raise pool orders 20 → 40, and 1 more');
    expect(others.map(({ act }) => act.kind)).toEqual(['reject', 'acknowledge', 'resolve']);
  });

  it('is to do what a runbook suggests', () => {
    const { primary } = choicesFor(incident({}), [execution({})]);
    expect(primary?.act).toEqual({ kind: 'start', runbook: 'pool-resize' });
  });

  it('is nothing while a runbook acts', () => {
    const { primary } = choicesFor(incident({ status: 'mitigating' }), [
      execution({ status: 'acting', mode: 'auto' }),
    ]);
    expect(primary).toBeNull();
  });

  it('is to take an open incident, then to close it', () => {
    expect(choicesFor(incident({}), []).primary?.act.kind).toBe('acknowledge');
    expect(choicesFor(incident({ status: 'acknowledged' }), []).primary?.act.kind).toBe('resolve');
  });

  it('is nothing once it is resolved', () => {
    const done = choicesFor(incident({ status: 'resolved' }), [
      execution({ status: 'awaiting-approval' }),
    ]);
    expect(done).toEqual({ primary: null, others: [] });
  });
});
