/** Environments from the command line, with agents in processes of their own that run the same file with other code. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Environment } from '../../domain/environment.ts';
import type { Run } from '../../domain/run.ts';
import { startProcess } from '../support/child-process.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
let server: TestServer;
let folder: TempDir;
let admin: string;
const agents: ReturnType<typeof startProcess>[] = [];

async function cli(...args: string[]) {
  await using program = startProcess(
    process.execPath,
    [MAIN, ...args, '--url', server.url, '--token', admin],
    { env: { CI: '1', NO_COLOR: '1' } },
  );
  const exit = await program.waitForExit();
  return { exit, out: program.stdout(), err: program.stderr() };
}

async function json<T>(...args: string[]): Promise<T> {
  const { out, err } = await cli(...args, '--json');
  if (out === '') throw new Error(err);
  return JSON.parse(out) as T;
}

async function startAgentOf(where: string, token: string): Promise<void> {
  const workflows = join(folder.path, where);
  await mkdir(workflows);
  await writeFile(
    join(workflows, 'daily.ts'),
    `import { workflow } from 'signalbox';
     export default workflow('daily', {}, (w) => {
       w.task('say', {}, (ctx) => '${where} in ' + ctx.environment);
     });`,
  );
  const environment = where === 'production' ? [] : ['--environment', where];
  agents.push(
    startProcess(
      process.execPath,
      [MAIN, 'agent', ...environment, '--workflows', workflows, '--url', server.url],
      { env: { SIGNALBOX_TOKEN: token, OTEL_SDK_DISABLED: 'true' } },
    ),
  );
}

beforeAll(async () => {
  folder = await makeTempDir('environments-cli');
  server = await startTestServer();
  admin = await server.token('admin');
}, 60_000);
afterAll(async () => {
  for (const agent of agents) await agent[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await folder.remove();
});

describe('signalbox environments', () => {
  it('takes a branch from its creation over its runs to its deletion', async () => {
    const made = await json<Environment>(
      ...['environments', 'create', 'pr-7', '--label', 'ref=feature/x', '--expires', '3d'],
    );
    expect(made).toMatchObject({ name: 'pr-7', labels: { ref: 'feature/x' }, state: 'active' });
    const { token } = await json<{ token: string }>(
      ...['tokens', 'create', 'ci-7', '--role', 'agent', '--environment', 'pr-7'],
    );
    await startAgentOf('production', await server.token('agent'));
    await startAgentOf('pr-7', token);
    for (const where of ['production', 'pr-7']) {
      const environment = where === 'production' ? [] : ['--environment', where];
      const run = await waitFor(
        () => json<Run>('workflows', 'trigger', 'daily', ...environment).catch(() => undefined),
        { what: `the workflow of ${where}`, timeoutMs: 20_000, intervalMs: 500 },
      );
      const said = await waitFor(
        async () => {
          const tasks = await json<{ items: readonly { result: unknown }[] }>(
            ...['tasks', 'list', run.id],
          );
          return tasks.items[0]?.result ?? undefined;
        },
        { what: 'the result', timeoutMs: 15_000, intervalMs: 500 },
      );
      expect(said).toBe(`${where} in ${where}`);
    }
    expect((await cli('environments', 'list')).out).toMatch(/pr-7 .*ref=feature\/x/);
    expect((await cli('environments', 'diff', 'pr-7')).out).toContain(
      'workflow daily: code of say',
    );
    expect((await cli('environments', 'show', 'pr-7')).out).toContain('1 workflows, 0 assets');
    const runs = await json<{ items: readonly Run[] }>('runs', 'list', '--environment', 'pr-7');
    expect(runs.items).toHaveLength(1);
    expect((await cli('environments', 'delete', 'pr-7')).out).toContain('deleted pr-7');
    expect(await agents[1]?.waitForExit()).not.toBe(0);
    expect((await cli('environments', 'show', 'pr-7')).exit).toBe(1);
    expect((await cli('environments', 'create', 'Production')).exit).toBe(2);
  }, 120_000);
});
