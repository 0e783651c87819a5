/**
 * The balance of a shop at the end of each day, which builds on that of the day before. Shows a schedule on the clocks
 * of a city, with what belongs to one that must not leave a day out: days are made up for after a stop, each waits
 * until the day before is done, and the two days a year on which clocks change are no exception.
 */
import { workflow } from 'signalbox';

const DAY_MS = 86_400_000;

/** Stands for the till: the same takings for the same day. */
function takingsOf(day: string): number {
  return (Math.floor(Date.parse(day) / DAY_MS) * 7_919) % 1_000;
}

export default workflow(
  'closing-balance',
  {
    description: 'Closes the books of a day, after those of the day before.',
    schedule: '30 2 * * *',
    timezone: 'Europe/Berlin',
    // In spring there is no half past two: it is half past three then. In autumn there are two: it is the second.
    dst: { missing: 'shift', duplicate: 'last' },
    // After a stop the newest thirty days are made up for, in order.
    catchup: { atMost: 30 },
    dependsOnPast: true,
    // A few minutes apart from whatever else starts at that time, always the same few.
    jitter: '5m',
    tags: ['example'],
  },
  (w) => {
    const takings = w.task('takings', { retries: 3 }, async (ctx) => {
      const { start, end } = ctx.dataInterval;
      ctx.log.info('counting the till', { from: start, to: end });
      return takingsOf(start);
    });

    w.task('close', { after: [takings] }, async (ctx) => {
      const amount = await ctx.result(takings);
      return ctx.once(`balance/${ctx.dataInterval.start}`, () => ({ amount }));
    });
  },
);
