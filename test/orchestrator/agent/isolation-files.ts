/** Workflow files whose tasks do to their process what a task should not. */
export const ISOLATION_FILES = {
  'harm.ts': `
    import { spawn } from 'node:child_process';
    import { appendFileSync, existsSync } from 'node:fs';
    import { setTimeout as delay } from 'node:timers/promises';
    import { flow, postgresPool, workflow } from 'signalbox';
    const pool = postgresPool('users-pool', { connectionString: process.env.USERS_DATABASE ?? '', max: 8 });

    const note = (text: string) => appendFileSync(process.env.NOTES ?? '', text + '\\n');
    const harms: Record<string, (ctx: { signal: AbortSignal }) => unknown> = {
      exit: () => process.exit(3),
      abort: () => process.abort(),
      kill: () => process.kill(process.pid, 'SIGKILL'),
      segfault: () => process.kill(process.pid, 'SIGSEGV'),
      memory: () => { const all: unknown[] = []; for (;;) all.push(new Array(10_000).fill(all.length)); },
      loop: () => { for (;;); },
      briefly: () => { for (const until = performance.now() + 900; performance.now() < until; ); },
      later: () => new Promise(() => setTimeout(() => { for (;;); }, 50)),
      rejection: async () => { setTimeout(() => void Promise.reject(new Error('from a timer')), 5); await delay(60_000); },
      exception: async () => { setTimeout(() => { throw new Error('thrown by a timer'); }, 5); await delay(60_000); },
      deaf: async () => { await delay(600_000); },
      child: () => {
        const child = spawn('sleep', ['600'], { stdio: 'ignore' });
        child.unref();
        note('child ' + child.pid);
        return child.pid;
      },
      timer: () => { setInterval(() => undefined, 1_000); return process.pid; },
      prints: () => {
        console.log('by console', { n: 1 });
        process.stdout.write('by stdout\\nwithout end');
        console.error('by console.error');
        spawn('sh', ['-c', 'echo by a child'], { stdio: 'inherit' });
        return delay(300).then(() => process.pid);
      },
      fine: () => process.pid,
      fetches: async () => (await fetch(process.env.FETCHED ?? '')).status,
      buffers: async () => {
        const all: Buffer[] = [];
        for (;;) { all.push(Buffer.alloc(10_000_000, 1)); await delay(5); }
      },
      chatty: () => { for (let n = 0; n < 1_000_000; n++) console.log('line ' + n); },
      yields: async () => {
        for (let n = 0; n < 1_000_000; n++) {
          console.log('line ' + n);
          if (n % 5_000 === 0) await delay(1);
        }
      },
      long: () => { console.log('x'.repeat(100_000_000)); process.stdout.write('y'.repeat(100_000_000)); },
      pool: async () => {
        const before = pool.max;
        const client = await pool.connect();
        note('pool taken');
        while (pool.max === before) await delay(20);
        client.release();
        return { before, after: pool.max };
      },
    };
    type P = { how: string };
    const parameters = { type: 'object', properties: { how: { type: 'string' } } } as const;
    const act = (ctx: { parameters: Record<string, unknown>; signal: AbortSignal; attempt: number }) => {
      note(String(ctx.parameters['how']) + ' attempt ' + ctx.attempt + ' in ' + process.pid);
      return harms[String(ctx.parameters['how'])]?.(ctx);
    };
    export const shared = workflow('shared', { parameters, isolation: 'shared' }, (w) => { w.task('act', {}, act); });
    export const alone = workflow('alone', { parameters, isolation: 'process' }, (w) => {
      w.task('act', { memory: '64MiB' }, act);
    });
    export const auto = workflow('auto', { parameters }, (w) => { w.task('act', {}, act); });
    export const retried = workflow('retried', { parameters, isolation: 'process' }, (w) => {
      w.task('act', { retries: 1, retryDelay: 1 }, act);
    });
    export const limited = workflow('limited', { parameters, isolation: 'process' }, (w) => {
      w.task('act', { timeout: '300ms', cancelGrace: '200ms' }, act);
    });
    export const stubborn = workflow('stubborn', { parameters, isolation: 'process' }, (w) => {
      w.task('act', { cancelGrace: '300ms' }, act);
    });
    export const beside = workflow('beside', {}, (w) => {
      w.task('waits', {}, async (ctx) => { note('beside ' + ctx.runId); await delay(600); return process.pid; });
    });
    export const gated = workflow('gated', {}, (w) => {
      w.task('waits', {}, async (ctx) => {
        note('gated ' + ctx.runId);
        while (!existsSync(process.env.NOTES + '.open')) await delay(20);
        return process.pid;
      });
    });
    export const asks = flow('asks', { isolation: 'process' }, async (ctx) => {
      const first = await ctx.step('first', () => process.pid);
      await ctx.sleep('a while', 50);
      const once = await ctx.once('asks/' + ctx.runId, (key) => key);
      const child = await ctx.subflow('fine-child', {});
      return { first, once, child, here: process.pid };
    });
    export const fineChild = workflow('fine-child', {}, (w) => { w.task('one', {}, () => 'child'); });
  `,
};
