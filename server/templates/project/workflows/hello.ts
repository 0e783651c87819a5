import { workflow } from 'signalbox';

/** Runs each minute: two tasks, of which the second takes the first one's result. */
export default workflow('hello', { schedule: '* * * * *', timezone: 'UTC' }, (w) => {
  const greet = w.task('greet', { retries: 2, retryDelay: '10s' }, async (ctx) => {
    ctx.log.info('saying hello', { minute: ctx.dataInterval.start });
    return { greeting: 'hello from Signalbox' };
  });
  w.task('count', { after: [greet] }, async (ctx) => {
    const { greeting } = await ctx.result(greet);
    return { letters: greeting.length };
  });
});
