/** What is recorded of errors that really happen: a refused connection, a statement that a database refuses. */
import pg from 'pg';
import { flow, workflow } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorText } from '../../../domain/run-error.ts';
import { toRunError } from '../../../orchestrator/agent/error-record.ts';
import { freePort } from '../../support/free-port.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

let agents: AgentStand;
let postgres: TestPostgres;
let port: number;
const tried = { refused: 0, statement: 0 };

async function query(url: string, text: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

const refused = () => query(`postgres://ann:hunter2@127.0.0.1:${port}/shop`, 'SELECT 1');
const statement = () => query(postgres.url, 'SELECT * FROM no_such_table');

const loads = workflow('loads', {}, (w) => {
  w.task('refused', { retries: 1, retryDelay: 0, retryOn: 'ECONNREFUSED' }, async () => {
    tried.refused += 1;
    try {
      await refused();
    } catch (cause) {
      throw new Error('could not load orders', { cause });
    }
  });
});
const statements = workflow('statements', {}, (w) => {
  const options = { retries: 3, retryDelay: 0, noRetryOn: ['42P01'] };
  w.task('statement', options, async () => {
    tried.statement += 1;
    await statement();
  });
});
const steps = flow('steps', { retries: 1, retryDelay: 0 }, async (ctx) => {
  await ctx.step('one', statement);
});

beforeAll(async () => {
  [agents, postgres, port] = await Promise.all([
    startAgentStand(),
    startTestPostgres(),
    freePort(),
  ]);
  await agents.start([loads, statements, steps]);
});
afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const thrownBy = async (work: () => Promise<unknown>) => {
  try {
    await work();
  } catch (error) {
    return toRunError(error);
  }
  throw new Error('it should have failed');
};

describe('an error that a task throws', () => {
  it('keeps the code of what caused it, and a retry rule finds that code', async () => {
    const run = await agents.run('loads');
    const cause = { code: 'ECONNREFUSED', message: `connect ECONNREFUSED 127.0.0.1:${port}` };
    expect(tried.refused).toBe(2);
    expect(run.error).toMatchObject({ message: 'refused: could not load orders', cause });
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task?.error).toMatchObject({ name: 'Error', message: 'could not load orders', cause });
    expect(run.error && errorText(run.error)).toBe(
      `Error: refused: could not load orders; caused by Error: connect ECONNREFUSED 127.0.0.1:${port}`,
    );
  });

  it('keeps the SQLSTATE of a statement that PostgreSQL refuses, which is not tried again where the task says so', async () => {
    const run = await agents.run('statements');
    expect(tried.statement).toBe(1);
    expect(run.error).toMatchObject({ code: '42P01' });
    expect(run.error && errorText(run.error)).toBe(
      'error: statement: relation "no_such_table" does not exist (42P01)',
    );
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task?.error?.code).toBe('42P01');
  });

  it('has its code in a flow as well, where a step failed', async () => {
    expect((await agents.run('steps')).error).toMatchObject({ code: '42P01' });
  });

  it('of several addresses says what happened at each, though its own message is empty', async () => {
    const error = await thrownBy(() => fetch(`http://127.0.0.1:${port}`));
    expect(error).toMatchObject({ name: 'TypeError', cause: { code: 'ECONNREFUSED' } });
    const several = new AggregateError([new Error('connect A'), new Error('connect B')], '');
    expect(toRunError(several).message).toBe('connect A; connect B');
  });
});

describe('a recorded error', () => {
  it('holds no password, token or row that a client hangs on its error', async () => {
    await query(
      postgres.url,
      "CREATE TABLE card (pan text UNIQUE); INSERT INTO card VALUES ('4111')",
    );
    const duplicate = await thrownBy(() => query(postgres.url, "INSERT INTO card VALUES ('4111')"));
    expect(duplicate.code).toBe('23505');
    expect(JSON.stringify(duplicate)).not.toContain('4111');
    const leaky = new Error('GET https://ann:hunter2@api.example/x?token=s3cret-1 failed', {
      cause: new Error('401 for Authorization: Bearer abcdefghijk.lmnop and password=hunter2'),
    });
    const told = JSON.stringify(toRunError(leaky));
    expect(told).not.toMatch(/hunter2|s3cret|abcdefghijk/);
    expect(told).toContain('https://ann:***@api.example/x?token=***');
  });

  it('is bounded in depth and size, also where causes go in a circle', () => {
    const deep = new Error('x'.repeat(50_000));
    deep.cause = new Error('y'.repeat(50_000), { cause: deep });
    const record = toRunError(deep);
    expect(JSON.stringify(record).length).toBeLessThan(50_000);
    let depth = 0;
    for (let at = record.cause; at !== undefined; at = at.cause) depth += 1;
    expect(depth).toBe(5);
    expect(toRunError(new Error('a', { cause: 'b' })).cause).toEqual({
      name: 'Error',
      message: '"b"',
    });
  });

  it('is made of an error whose name is no text as well', () => {
    const odd = Object.assign(new Error('odd'), { name: 42, code: 7 });
    expect(toRunError(odd)).toMatchObject({ name: '42', message: 'odd', code: '7' });
  });

  it('has no code where the number says no more than the name', () => {
    expect(toRunError(new DOMException('it was aborted', 'AbortError'))).not.toHaveProperty('code');
  });
});
