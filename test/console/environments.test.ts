import { afterEach, describe, expect, it } from 'vitest';
import { environmentHref } from '../../console/src/frame/environment-href.ts';
import { limitsOf, standingOf } from '../../console/src/pages/agents/queue-words.ts';
import { goesWith } from '../../console/src/pages/environments/goes-with.ts';
import { paths, whichEnvironment } from '../../console/src/routes.ts';
import type { Agent } from '../../domain/agent.ts';
import { DEFAULT_SETTINGS, type Environment } from '../../domain/environment.ts';

afterEach(() => whichEnvironment(() => null));

describe('links', () => {
  it('stay in the environment that is looked at', () => {
    whichEnvironment(() => 'pr-123');
    expect(paths.run('r', { task: 'a' })).toBe('/runs/r?environment=pr-123&task=a');
    expect(paths.overview()).toBe('/?environment=pr-123');
  });

  it('name no environment in production', () => {
    expect(paths.workflow('w')).toBe('/workflows/w');
  });

  it('to another environment lead to the same page, and from a run to the runs', () => {
    whichEnvironment(() => 'pr-123');
    expect(environmentHref({ page: 'workflow', name: 'w' }, 'pr-9')).toBe(
      '/workflows/w?environment=pr-9',
    );
    expect(environmentHref({ page: 'run', id: 'r' }, 'production')).toBe('/runs');
  });
});

describe('the plan of a deletion', () => {
  const environment: Environment = {
    ...{ name: 'pr-123', base: 'production', state: 'active', createdBy: 'token:ci' },
    ...{ createdAt: '', lastSeenAt: '', expiresAt: null, labels: {}, settings: DEFAULT_SETTINGS },
    ...{ workflows: 2, assets: 1, agents: 0, activeRuns: 1 },
  };

  it('says what runs, and all that goes', () => {
    const lines = goesWith(environment);
    expect(lines[0]).toBe('1 run under way is cancelled first');
    expect(lines).toContain('2 workflows with all runs, logs and results');
    expect(lines.join(' ')).not.toMatch(/turned away/);
  });
});

describe('a queue', () => {
  const queue = { name: 'gpu', paused: false, concurrency: null, ready: 2, running: 0 };
  const agent = { state: 'online', queues: ['default'] } as unknown as Agent;

  it('in which work waits that nobody serves is in danger', () => {
    expect(standingOf(queue, [agent])).toEqual({ sign: 'danger', word: 'no agent' });
    expect(standingOf(queue, null).sign).not.toBe('danger');
    expect(standingOf({ ...queue, paused: true }, [agent]).word).toBe('paused');
    expect(standingOf({ ...queue, ready: 0, waiting: 3 }, [{ ...agent, queues: ['gpu'] }])).toEqual(
      {
        ...{ sign: 'caution', word: 'at a limit' },
      },
    );
  });

  it('tells its limits in words', () => {
    expect(limitsOf(queue)).toBe('no limit');
    expect(limitsOf({ ...queue, concurrency: 4, rateLimit: { count: 100, per: '1m' } })).toBe(
      'at most 4 at once, 100 starts every 1m',
    );
  });
});
