/** What automation holds back for long is told to code and addresses, with the reason, for as long as it lasts. */
import { asset, eager, webhook } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallbackEvent } from '../../../domain/callback.ts';
import { qualify } from '../../../domain/environment.ts';
import { manualClock } from '../../../domain/time.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { startAgent } from '../../../orchestrator/agent/start.ts';
import { toCloudEvent } from '../../../orchestrator/callbacks/cloud-event.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ACTOR, type AutomationStand, startAutomationStand } from './stand.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
let told: CallbackEvent[] = [];
beforeEach(async () => {
  told = [];
  clock = manualClock(Date.UTC(2026, 2, 10, 1));
  stand = await startAutomationStand(clock);
});
afterEach(() => stand[Symbol.asyncDispose]());

const below = asset(
  'h/below',
  {
    dependsOn: ['h/up'],
    automation: { condition: eager(), tellAfter: '2h' },
    onHeld: [(event) => void told.push(event), webhook('https://hooks.example.com/held')],
  },
  () => 1,
);

async function follow(): Promise<void> {
  await stand.look();
  await stand.stand.reconcile('callbacks');
}

const toldTimes = (count: number) =>
  waitFor(
    async () => {
      await stand.stand.reconcile('callbacks');
      return told.length === count && told;
    },
    { what: `${count} callbacks` },
  );

describe('onHeld', () => {
  it('tells since when and by what an asset is held back, after its time, and each day anew', async () => {
    await stand.work(below);
    await follow();
    clock.advance(HOUR);
    await follow();
    expect(told).toEqual([]);
    clock.advance(HOUR);
    await follow();
    const [event] = await toldTimes(1);
    expect(event).toMatchObject({
      ...{ outcome: 'held', workflow: 'h/below', callback: 'h/below.onHeld', logicalDate: null },
      error: 'waits: h/up is not known: nobody declares, makes or reports it',
      held: {
        ...{ since: '2026-03-10T01:00:00.000Z', reason: 'upstream-missing', upstream: 'h/up' },
        ...{ runId: null, partition: null },
      },
    });
    clock.advance(DAY - HOUR);
    await follow();
    expect(told).toHaveLength(1);
    clock.advance(HOUR);
    await follow();
    await toldTimes(2);
    expect(new Set(told.map(({ key }) => key)).size).toBe(2);
    const addresses = await stand.stand.sql<{ event: CallbackEvent }>(
      'SELECT event FROM signalbox.callback WHERE url IS NOT NULL',
    );
    expect(addresses.map((row) => toCloudEvent(row.event))).toMatchObject([
      { type: 'dev.signalbox.asset.held', subject: 'h/below', source: '/workflows/h%2Fbelow' },
      { type: 'dev.signalbox.asset.held' },
    ]);
    await stand.report('h/up');
    await follow();
    clock.advance(3 * DAY);
    await follow();
    expect(told).toHaveLength(2);
  });

  it('tells what holds it back now, a pause as well, and not what did before', async () => {
    await stand.work(below);
    await follow();
    await stand.report('h/up');
    await stand.orchestrator.automation.setPaused('h/below', true, ACTOR);
    await follow();
    clock.advance(2 * HOUR);
    await follow();
    const [event] = await toldTimes(1);
    expect(event?.held?.reason).toBe('paused');
    expect(event?.error).toContain('paused by token:ann');
  });

  it('of a branch tells plain names, of its own definitions alone', async () => {
    const settings = { callbacks: true, triggers: true };
    await stand.orchestrator.environments.save({ name: 'pr-1', settings }, ACTOR);
    const agent = startAgent({
      transport: inProcessTransport(stand.orchestrator.agents),
      definitions: definitionsOf([below]),
      ...{ name: 'branch', queues: ['default'], concurrency: 2, drainMs: 200 },
      environment: 'pr-1',
      log: () => {},
    });
    await waitFor(() => agent.sessionId());
    await follow();
    clock.advance(2 * HOUR);
    await follow();
    const [event] = await toldTimes(1);
    await agent.stop();
    expect(event).toMatchObject({ workflow: 'h/below', environment: 'pr-1', task: 'h/below' });
    expect(event?.held?.upstream).toBe('h/up');
    expect(JSON.stringify(event)).not.toContain(qualify('pr-1', ''));
  });

  it('is refused for an asset without automation, which nothing holds back', () => {
    expect(() => asset('h/x', { onHeld: () => 1 }, () => 1)).toThrow(
      /asset "h\/x": onHeld is for assets that have automation/,
    );
  });
});
