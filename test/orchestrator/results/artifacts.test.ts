/** What tasks show people, with real agents. */
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { workflow } from '../../../orchestrator/index.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
});
afterAll(() => agents[Symbol.asyncDispose]());

async function runOf(definition: Definition) {
  const agent = await agents.start([definition]);
  try {
    return await agents.run(definition.name);
  } finally {
    await agent.stop();
  }
}
const shown = (runId: string) => agents.stand.orchestrator.results.artifactsOfRun(runId);
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

describe('artifacts', () => {
  it('of every kind are kept with the run that made them', async () => {
    const run = await runOf(
      workflow('shows', {}, (w) => {
        w.task('report', {}, async ({ artifact }) => {
          await artifact.markdown('summary', '# Orders\n\nAll **fine**.', { title: 'Summary' });
          await artifact.table('rows', [{ id: 1 }, { id: 2, late: true }]);
          await artifact.link('dashboard', 'https://example.com/d/1', 'Dashboard');
          await artifact.image('plot', PNG);
          await artifact.image('logo', 'https://example.com/logo.png');
          await artifact.json('stats', { mean: 1.5 });
        });
      }),
    );
    expect(run.state).toBe('succeeded');
    expect(
      (await shown(run.id)).map(({ key, kind, mime, value }) => [key, kind, mime, value]),
    ).toEqual([
      ['summary', 'markdown', 'text/markdown', '# Orders\n\nAll **fine**.'],
      ['rows', 'table', 'application/json', [{ id: 1 }, { id: 2, late: true }]],
      [
        'dashboard',
        'link',
        'application/json',
        { url: 'https://example.com/d/1', text: 'Dashboard' },
      ],
      ['plot', 'image', 'image/png', null],
      ['logo', 'image', 'application/json', { url: 'https://example.com/logo.png' }],
      ['stats', 'json', 'application/json', { mean: 1.5 }],
    ]);
    expect((await shown(run.id))[0]).toMatchObject({
      ...{ title: 'Summary', taskKey: 'report', workflow: 'shows', bytes: 23, version: 1 },
    });
  });

  it('are made anew in place within a task, also by its retry, and are versions over runs', async () => {
    const definition = workflow('shows-again', {}, (w) => {
      w.task('load', { retries: 1, retryDelay: 0 }, async (ctx) => {
        await ctx.artifact.markdown('again', `attempt ${ctx.attempt}`);
        if (ctx.attempt === 1) throw new Error('once');
        await ctx.artifact.markdown('again', 'done');
      });
    });
    const runs = [await runOf(definition), await runOf(definition)];
    expect(await shown(runs[0]?.id ?? '')).toMatchObject([{ value: 'done', version: 1 }]);
    expect(await shown(runs[1]?.id ?? '')).toMatchObject([{ value: 'done', version: 2 }]);
    const { results } = agents.stand.orchestrator;
    const first = await results.artifacts({ key: 'again', limit: 1 });
    expect(first.items.map(({ version }) => version)).toEqual([2]);
    const cursor = first.nextCursor ?? '';
    expect((await results.artifacts({ key: 'again', limit: 1, cursor })).items).toMatchObject([
      { version: 1, runId: runs[0]?.id },
    ]);
  });

  it('of progress are told in few calls, never fail the task, and end at the last value', async () => {
    const run = await runOf(
      workflow('shows-progress', {}, (w) => {
        w.task('load', {}, async (ctx) => {
          let last: Promise<void> = Promise.resolve();
          for (let percent = 0; percent <= 1_000; percent += 1) {
            last = ctx.artifact.progress('rows', percent / 10);
          }
          await last;
          await ctx.artifact.progress('', 5);
        });
      }),
    );
    expect(run.state).toBe('succeeded');
    expect(await shown(run.id)).toMatchObject([{ kind: 'progress', value: { percent: 100 } }]);
  });

  it('that are large lie in the result store, and go to whoever asks for their content', async () => {
    const report = '# Long\n'.repeat(60_000);
    const run = await runOf(
      workflow('shows-large', {}, (w) => {
        w.task('report', {}, (ctx) => ctx.artifact.markdown('long', report));
      }),
    );
    const [artifact] = await shown(run.id);
    expect(artifact).toMatchObject({ value: null, bytes: report.length });
    const { content } = await agents.stand.orchestrator.results.artifactContent(artifact?.id ?? '');
    expect(await text(content)).toBe(report);
  });

  it.each([
    ['a URL that runs code', (ctx: Shows) => ctx.artifact.link('a', 'javascript:alert(1)'), /http/],
    ['bytes of no known type', (ctx: Shows) => ctx.artifact.image('a', Buffer.from('x')), /type/],
    [
      'too many bytes',
      (ctx: Shows) => ctx.artifact.markdown('a', 'x'.repeat(17_000_000)),
      /at most/,
    ],
    ['what is no JSON', (ctx: Shows) => ctx.artifact.json('a', () => 1), /must be JSON/],
    ['a long key', (ctx: Shows) => ctx.artifact.json('k'.repeat(251), 1), /250/],
  ])('are refused: %s', async (name, code, message) => {
    const run = await runOf(
      workflow(`shows-${name.replaceAll(' ', '-')}`, {}, (w) => void w.task('bad', {}, code)),
    );
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task?.error?.message).toMatch(message);
  });

  it('are at most a thousand a run', async () => {
    const run = await runOf(
      workflow('shows-many', {}, (w) => {
        w.task('many', {}, async (ctx) => {
          for (let index = 0; index < 1_000; index += 1)
            await ctx.artifact.json(`n${index}`, index);
          await ctx.artifact.json('n0', 'again');
          await ctx.artifact.json('one-more', 1);
        });
      }),
    );
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task?.error?.message).toMatch(/at most 1000 artifacts/);
    expect((await shown(run.id)).length).toBe(1_000);
  });
});

type Shows = Parameters<Parameters<Parameters<Parameters<typeof workflow>[2]>[0]['task']>[2]>[0];
