/**
 * A flow is plain code with durable steps: kill the agent in the middle, and the run goes on from the last step
 * that was recorded.
 */
import { flow } from 'signalbox';

export default flow(
  'fan-out',
  {
    description: 'Squares n numbers in parallel steps and adds them up.',
    tags: ['example'],
    parameters: {
      type: 'object',
      properties: { n: { type: 'integer', minimum: 1, maximum: 1_000, default: 5 } },
      additionalProperties: false,
    },
  },
  async (ctx, { n }) => {
    const parts = await Promise.all(
      Array.from({ length: n }, (_, index) => ctx.step(`part-${index}`, async () => index * index)),
    );
    const sum = parts.reduce((a, b) => a + b, 0);
    ctx.log.info('added up', { n, sum });
    return { n, sum };
  },
);
