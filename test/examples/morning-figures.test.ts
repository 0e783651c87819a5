/** The example of automation, with an agent that makes its assets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forecast, morningFigures, revenue, shopOrders } from '../../examples/morning-figures.ts';
import {
  ACTOR,
  type AutomationStand,
  startAutomationStand,
} from '../orchestrator/automation/stand.ts';

let stand: AutomationStand;
beforeAll(async () => {
  stand = await startAutomationStand();
  await stand.work(shopOrders, revenue, forecast, morningFigures);
});
afterAll(() => stand[Symbol.asyncDispose]());

const versionsOf = async (key: string) =>
  (await stand.orchestrator.assets.materializations(key, {})).items;

describe('the example of automation', () => {
  it('says what it waits for, and makes revenue and forecast in one run once the shop has reported', async () => {
    await stand.look();
    expect((await stand.of('example/shop_revenue')).summary).toMatch(
      /^not requested: waits: example\/shop_orders was never made \(held back since /,
    );
    const { quality } = stand.orchestrator;
    await quality.reportObservation('example/shop_orders', { dataVersion: 'orders-2' }, ACTOR);
    await stand.until(
      'the forecast',
      async () => (await versionsOf('example/forecast')).length === 1,
    );
    const [made] = await versionsOf('example/forecast');
    const [above] = await versionsOf('example/shop_revenue');
    expect(made?.runId).toBe(above?.runId);
    const [run] = await stand.runsOf('assets');
    expect(run?.id).toBe(made?.runId);
  });

  it('waits with the morning’s figures for the next tick, and shows when that is', async () => {
    await stand.look();
    const standing = await stand.of('example/morning_figures');
    expect(standing.state).toBe('idle');
    expect(standing.nextTickAt).toMatch(/T0[45]:00:00/);
    expect(standing.definition.tellAfterMs).toBe(4 * 3_600_000);
    expect(standing.text).toBe("onCron('0 6 * * *', { timezone: 'Europe/Berlin' })");
  });
});
