import { describe, expect, it } from 'vitest';
import { compileGraph } from '../../../orchestrator/catalog/graph.ts';
import { checkSchema } from '../../../orchestrator/define/check-schema.ts';
import { flow } from '../../../orchestrator/define/flow.ts';
import { workflow } from '../../../orchestrator/define/workflow.ts';
import { limitsOf } from '../../../orchestrator/limits/gates.ts';
import { fillTemplate } from '../../../orchestrator/limits/template.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
const KEY = 'tenant-${parameters.tenant.id}';
const nothing = () => undefined;

describe('options that limit', () => {
  it('become gates from the narrowest to the widest, and labels', () => {
    const { described } = workflow(
      'limited',
      { maxActiveTasks: 9, requires: { region: 'eu' }, queue: 'main' },
      (w) => {
        const options = { maxActive: 3, maxActivePerRun: 2, requires: { gpu: 'true' } };
        const concurrency = { key: KEY, limit: 1 };
        w.task('all', { ...options, concurrency, queue: 'other' }, nothing);
        w.task('few', {}, nothing);
      },
    );
    const { tasks } = compileGraph({ ...described, file: 'limited.ts' });
    const run = { runId: 'R', workflow: 'limited', parameters: { tenant: { id: 7 } } };
    expect(tasks.map(({ queue }) => queue)).toEqual(['other', 'main']);
    expect(tasks.map((task) => limitsOf(task, run))).toEqual([
      {
        gates: [
          { name: 'key limited/all:tenant-7', limit: 1 },
          { name: 'run R/all', limit: 2 },
          { name: 'task limited/all', limit: 3 },
          { name: 'workflow limited', limit: 9 },
        ],
        labels: ['gpu=true', 'region=eu'],
      },
      { gates: [{ name: 'workflow limited', limit: 9 }], labels: ['region=eu'] },
    ]);
  });

  it('cost a task without them nothing', () => {
    const { described } = workflow('free', {}, (w) => w.task('only', { pool: 'p' }, nothing));
    const [task] = compileGraph({ ...described, file: 'free.ts' }).tasks;
    expect(task && limitsOf(task, { runId: 'R', workflow: 'free', parameters: {} })).toBe(
      undefined,
    );
    expect(Object.keys(task ?? {})).not.toContain('maxActive');
  });

  it('are told wrong by their names', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
    const code = { key: '${process.exit()}' };
    expect(() => flow('f', { concurrency: code }, nothing)).toThrow(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
      'concurrency: key: "process.exit()" is not known; a place is ${workflow} or ${parameters.NAME}',
    );
    expect(() => flow('f', { maxActive: 0 }, nothing)).toThrow('maxActive: must be a whole number');
    expect(() => flow('f', { requires: { gpu: 'a b' } }, nothing)).toThrow('requires: gpu:');
    expect(() => flow('f', { requires: {} }, nothing)).toThrow('1 to 20 labels');
  });
});

describe('templates of keys', () => {
  it('are filled with nothing but parameters of the run', () => {
    const fill = (template: string, parameters: Record<string, unknown>) =>
      fillTemplate(template, { workflow: 'w', parameters });
    expect(fill(KEY, { tenant: { id: 'a' } })).toBe('tenant-a');
    expect(fill(KEY, { tenant: { id: { deep: 1 } } })).toBe('tenant-');
    expect(fill(KEY, {})).toBe('tenant-');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
    expect(fill('${parameters.constructor.name}${parameters.__proto__}', {})).toBe('');
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
    expect(fill('${workflow}/${parameters.n}', { n: 0 })).toBe('w/0');
    expect(fill(KEY, { tenant: { id: 'x'.repeat(9_999) } })).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

describe('a concurrency key', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the product
  const concurrency = { key: '${parameters.tenant}' };
  const schema = (properties: object, rest: object = {}) => ({
    ...{ type: 'object', properties, ...rest },
  });

  it('that names a parameter which the schema does not have is refused with the nearest name', () => {
    const tenants = schema({ tenants: { type: 'string' } });
    expect(() => checkSchema(flow('run', { parameters: tenants, concurrency }, nothing))).toThrow(
      'run: concurrency: key: there is no parameter "tenant"; did you mean "tenants"?',
    );
    const tasks = workflow('tasks', { parameters: schema({ day: {} }) }, (w) => {
      w.task('one', { concurrency }, nothing);
    });
    expect(() => checkSchema(tasks)).toThrow(
      'tasks: task one: concurrency: key: there is no parameter "tenant"; known are day',
    );
    const none = schema({}, { additionalProperties: false });
    expect(() => checkSchema(flow('none', { parameters: none, concurrency }, nothing))).toThrow(
      'it has none',
    );
  });

  it.each([
    ['has it', schema({ tenant: { type: 'string' } })],
    ['takes others too', schema({ day: {} }, { additionalProperties: true })],
    ['is a choice', { type: 'object', anyOf: [schema({ tenant: {} }), schema({ day: {} })] }],
  ])('is taken where the schema %s', (_, parameters) => {
    expect(() => checkSchema(flow('run', { parameters, concurrency }, nothing))).not.toThrow();
  });
});
