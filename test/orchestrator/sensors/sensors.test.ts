import { type SensorContext, type SensorResult, sensor, workflow } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import type { Transport } from '../../../orchestrator/agent/transport.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };

/** Files of an inbox, in the order in which they come. */
let inbox: string[] = [];
let looks: SensorContext[] = [];
let hooked: SensorContext[] = [];
let during: () => void | Promise<void> = () => undefined;

const load = workflow(
  'load',
  {
    parameters: {
      type: 'object',
      required: ['file'],
      properties: { file: { type: 'string' } },
    },
  },
  (w) => {
    w.task('read', {}, (ctx) => ({ file: ctx.parameters.file, trigger: ctx.trigger }));
  },
);

const files = sensor<{ seen: number }>(
  'files',
  { every: '1s', triggers: load, timeout: '2s' },
  async (ctx): Promise<SensorResult<{ seen: number }>> => {
    looks.push(ctx);
    await during();
    const from = Number(ctx.cursor ?? 0);
    const fresh = inbox.slice(from);
    if (fresh.length === 0) return { skipReason: 'no new file' };
    return {
      runs: fresh.map((file) => ({ key: String(file), parameters: { file } })),
      cursor: String(inbox.length),
      state: { seen: (ctx.state?.seen ?? 0) + fresh.length },
    };
  },
);

/** Asks for a run for each event that it is handed. */
const hooks = sensor('hooks', { every: '1d', triggers: 'load' }, (ctx) => {
  hooked.push(ctx);
  if (ctx.events.some(({ body }) => body === 'bad')) throw new Error('a bad event');
  return {
    runs: ctx.events.map(({ key, body }) => ({ key, parameters: { file: String(body) } })),
  };
});

const pushed = sensor('pushed', { push: true, triggers: load });

let agents: AgentStand;

beforeEach(async () => {
  inbox = [];
  looks = [];
  hooked = [];
  during = () => undefined;
  agents = await startAgentStand({ leaseMs: 600 });
});

afterEach(() => agents[Symbol.asyncDispose]());

const start = (name = 'one', transport?: Transport) =>
  agents.start([load, files, hooks, pushed], {
    name,
    ...(transport === undefined ? {} : { transport }),
  });
const service = () => agents.stand.orchestrator.sensors;
const runs = async () => (await agents.stand.orchestrator.runs.list({ workflow: 'load' })).items;

function filesOf(all: Awaited<ReturnType<typeof runs>>) {
  return all.map(({ parameters }) => parameters['file']).sort();
}

describe('a sensor', () => {
  it('starts a run for each new file, once, and goes on at its cursor', async () => {
    inbox = ['a.csv', 'b.csv'];
    await start();
    await waitFor(async () => (await runs()).length === 2, { what: 'two runs' });
    inbox.push('c.csv');
    await service().tick('files', ACTOR);
    await waitFor(async () => (await runs()).length === 3, { what: 'the third run' });
    const shown = await waitFor(
      async () => {
        await service().tick('files', ACTOR);
        const sensor = await service().get('files');
        return sensor.skipReason !== null && sensor;
      },
      { what: 'a look that finds nothing' },
    );
    expect(shown).toMatchObject({
      ...{ cursor: '3', state: { seen: 3 }, skipReason: 'no new file', failures: 0 },
      ...{ kind: 'poll', every: '1s', triggers: 'load', lastError: null },
    });
    expect(shown.lastRuns.map(({ key }) => key)).toEqual(['c.csv', 'b.csv', 'a.csv']);
    expect(filesOf(await runs())).toEqual(['a.csv', 'b.csv', 'c.csv']);
    const [run] = await runs();
    await agents.ended(run?.id ?? '');
    expect((await agents.results(run?.id ?? ''))['read']).toEqual({
      file: 'c.csv',
      trigger: { kind: 'sensor', sensor: 'files', key: 'c.csv' },
    });
    expect(run?.trigger).toBe('sensor');
  });

  it('whose agent dies in the middle of a look is looked at by another one, and starts each run once', async () => {
    inbox = ['a.csv'];
    const gate = Promise.withResolvers<void>();
    during = () => gate.promise;
    let open = true;
    const inner = inProcessTransport(agents.stand.orchestrator.agents);
    const line = new Proxy(inner, {
      get: (target, name: keyof Transport) =>
        open || name === 'close' ? target[name] : () => new Promise(() => undefined),
    });
    await start('lost', line);
    await waitFor(() => looks.length === 1, { what: 'the first look' });
    open = false;
    await start('other');
    await waitFor(
      async () => {
        await agents.stand.reconcile('lease-reaper');
        return looks.length >= 2;
      },
      { what: 'another agent to look' },
    );
    expect(looks[1]?.cursor).toBeNull();
    gate.resolve();
    await waitFor(async () => (await service().get('files')).cursor === '1');
    expect(filesOf(await runs())).toEqual(['a.csv']);
  });

  it('tells its error, tries again ever later, and keeps its cursor meanwhile', async () => {
    inbox = ['a.csv'];
    during = () => {
      throw new TypeError('the inbox is gone');
    };
    await start();
    const failed = await waitFor(async () => {
      const sensor = await service().get('files');
      return sensor.failures > 0 && sensor;
    });
    expect(failed).toMatchObject({
      cursor: null,
      lastError: { name: 'TypeError', message: 'the inbox is gone' },
    });
    during = () => undefined;
    await service().tick('files', ACTOR);
    await waitFor(async () => (await runs()).length === 1);
    expect(await service().get('files')).toMatchObject({ failures: 0, lastError: null });
  });

  it('that gives what no sensor gives is told so by name', async () => {
    const slip = sensor('slip', { every: '1s', triggers: load }, () => {
      const given = { skip: 'nothing new' };
      return given as SensorResult;
    });
    agents.start([load, slip], { name: 'one' });
    const error = 'a sensor gives { runs, cursor, state, skipReason }; "skip" is none of them';
    await waitFor(async () => (await service().get('slip')).lastError?.message === error);
  });

  it('whose run cannot be made moves nothing, and says which and why', async () => {
    inbox = ['a.csv', 7 as unknown as string];
    await start();
    const failed = await waitFor(async () => {
      const sensor = await service().get('files');
      return sensor.lastError !== null && sensor;
    });
    expect(failed.lastError?.message).toMatch(/run 2: \/file must be string/);
    expect(failed.cursor).toBeNull();
    expect(await runs()).toEqual([]);
  });

  it('is aborted when its time is over', async () => {
    during = () => new Promise(() => undefined);
    await start();
    const failed = await waitFor(async () => {
      const sensor = await service().get('files');
      return sensor.lastError !== null && sensor;
    });
    expect(failed.lastError?.message).toMatch(/longer than 2000 ms/);
    expect(looks[0]?.signal.aborted).toBe(true);
  });

  it('that is paused looks no more; a reset cursor makes it begin anew without a second run', async () => {
    inbox = ['a.csv'];
    await start();
    await waitFor(async () => (await service().get('files')).cursor === '1');
    expect((await service().setPaused('files', true, ACTOR)).nextLookAt).toBeNull();
    await expect(service().tick('files', ACTOR)).rejects.toThrow(/paused/);
    const before = looks.length;
    inbox.push('b.csv');
    await service().setCursor('files', null, ACTOR);
    await service().setPaused('files', false, ACTOR);
    await waitFor(async () => (await service().get('files')).cursor === '2');
    expect(looks[before]?.cursor).toBeNull();
    expect(filesOf(await runs())).toEqual(['a.csv', 'b.csv']);
  });
});

describe('an event that is pushed to a sensor', () => {
  it('is handed to its next look, which comes at once; a burst of 1,000 takes few looks', async () => {
    await start();
    await waitFor(async () => (await service().get('hooks')).lastLookAt !== null);
    hooked = [];
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        service().push('hooks', { key: `e${index}`, body: `f${index}` }, ACTOR),
      ),
    );
    expect((await service().push('hooks', { key: 'e0', body: 'again' }, ACTOR)).created).toBe(
      false,
    );
    await waitFor(
      async () => {
        const [{ count } = { count: 0 }] = await agents.stand.sql<{ count: number }>(
          `SELECT count(*)::int AS count FROM signalbox.run WHERE trigger = 'sensor'`,
        );
        return count === 1_000;
      },
      { what: 'a run for each', timeoutMs: 20_000 },
    );
    const used = hooked.filter(({ events }) => events.length > 0);
    expect(used.length).toBeLessThan(200);
    expect(Math.max(...used.map(({ events }) => events.length))).toBeLessThanOrEqual(100);
    await waitFor(async () => (await service().get('hooks')).waitingEvents === 0);
  });

  it('that makes the sensor fail again and again is set aside, and the others go through', async () => {
    for (const [key, body] of Object.entries({ one: 'f1', bad: 'bad', two: 'f2' })) {
      await agents.stand.orchestrator.agents.register({
        ...{ name: 'x', queues: ['none'], concurrency: 1, version: '', fileErrors: [] },
        definitions: [hooks, load].map(({ described }) => ({ ...described, file: '' })),
      });
      await service().push('hooks', { key, body }, ACTOR);
    }
    await start();
    await waitFor(
      async () => {
        await service().tick('hooks', ACTOR);
        const { refusedEvents, waitingEvents } = await service().get('hooks');
        return refusedEvents === 1 && waitingEvents === 0;
      },
      { what: 'the bad event to be set aside' },
    );
    expect(filesOf(await runs())).toEqual(['f1', 'f2']);
  });

  it('starts the workflow straight where the sensor has no code, once under its key', async () => {
    await start();
    const event = { key: 'k', body: { file: 'x' } };
    const first = await service().push('pushed', event, ACTOR);
    const second = await service().push('pushed', event, ACTOR);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.runId).toBe(first.runId);
    expect((await agents.ended(first.runId ?? '')).state).toBe('succeeded');
    await expect(service().push('pushed', { key: 'l', body: {} }, ACTOR)).rejects.toMatchObject({
      code: 'invalid-parameters',
    });
    await expect(service().push('none', event, ACTOR)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe('the definition of a sensor', () => {
  it('tells what is wrong with it', () => {
    expect(() => sensor('s', { every: '10ms' }, () => ({}))).toThrow(/every: must be from 1000 ms/);
    expect(() => sensor('s', {})).toThrow(/a function is needed/);
    expect(() => sensor('s', { push: true })).toThrow(/needs the workflow that it starts/);
    expect(() => sensor('s', { push: true, triggers: 'w' }, () => ({}))).toThrow(
      /takes no function/,
    );
  });
});
