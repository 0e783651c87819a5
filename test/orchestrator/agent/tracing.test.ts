import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node';
import { workflow } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
type Processor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number];
type Ended = Parameters<Processor['onEnd']>[0];

const spans: Ended[] = [];
const collect: Processor = {
  onStart: () => undefined,
  onEnd: (span) => void spans.push(span),
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
};
const sdk = new NodeSDK({
  spanProcessors: [collect],
  metricReaders: [],
  logRecordProcessors: [],
  instrumentations: [],
  autoDetectResources: false,
});
let agents: AgentStand;

const traced = workflow('traced', {}, (w) => {
  const good = w.task('good', {}, () => 1);
  w.task('bad', { after: [good] }, () => {
    throw new TypeError('no good');
  });
});

beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start([traced]);
});

afterAll(async () => {
  await sdk.shutdown();
  await agents[Symbol.asyncDispose]();
});

describe('spans of attempts', () => {
  it('are made once the process has an SDK, go on from the run’s trace, and name their run', async () => {
    expect((await agents.run('traced')).state).toBe('failed');
    sdk.start();
    // The run before told the agent that there is no SDK; the answer to the next claim tells that there is.
    const id = await trigger(agents.stand.orchestrator, 'traced', {
      traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
    });
    await agents.ended(id);
    const [good, bad, ...others] = spans;
    expect(others).toEqual([]);
    expect(good).toMatchObject({
      name: 'traced good',
      attributes: {
        'cicd.pipeline.run.id': id,
        'cicd.pipeline.task.name': 'good',
        'cicd.pipeline.name': 'traced',
        'signalbox.task.attempt': 1,
        'signalbox.agent.name': 'test',
      },
    });
    expect(good?.spanContext().traceId).toBe(TRACE_ID);
    expect(good?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    expect(bad).toMatchObject({ name: 'traced bad', status: { code: 2, message: 'no good' } });
    expect(bad?.events.map(({ name }) => name)).toEqual(['exception']);
  });
});
