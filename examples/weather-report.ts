/**
 * Readings of a day never change once the day is over: they are loaded once, and later runs for the same day take
 * them from the cache. They are many, and pass between the tasks by the result store without a word. The report is an
 * artifact: it stands on the page of the run, and has a version for each run.
 */
import { workflow } from 'signalbox';

interface Reading {
  readonly station: string;
  readonly hour: number;
  readonly celsius: number;
}

export default workflow(
  'weather-report',
  {
    description: 'Loads the readings of a day and shows the warmest stations.',
    tags: ['example'],
    parameters: {
      type: 'object',
      properties: {
        day: { type: 'string', format: 'date', default: '2026-01-01' },
        stations: { type: 'integer', minimum: 1, maximum: 5_000, default: 500 },
      },
      additionalProperties: false,
    },
  },
  (w) => {
    const load = w.task(
      'load',
      {
        cache: {
          key: ({ parameters: { day, stations } }) => ['readings', `${day}`, `${stations}`],
          expires: '30d',
          version: 1,
        },
      },
      async (ctx) => {
        const { day, stations } = ctx.parameters;
        const readings: Reading[] = [];
        for (let index = 0; index < stations; index += 1) {
          readings.push(...readingsOf(`station-${index}`, day));
          await ctx.artifact.progress('stations', (100 * (index + 1)) / stations);
        }
        return readings;
      },
    );

    w.task('report', { after: [load] }, async (ctx) => {
      const readings = await ctx.result(load);
      const warmest = [...readings].sort((a, b) => b.celsius - a.celsius).slice(0, 5);
      await ctx.artifact.markdown(
        'summary',
        `# Weather of ${ctx.parameters.day}\n\n**${readings.length}** readings.`,
      );
      await ctx.artifact.table('warmest', warmest);
      return warmest[0]?.station;
    });
  },
);

/** Stands for a call of the weather service. */
function readingsOf(station: string, day: string): Reading[] {
  const seed = [...`${station}${day}`].reduce((sum, char) => sum + char.charCodeAt(0), 0);
  return Array.from({ length: 24 }, (_, hour) => {
    const celsius = ((seed * 7 + hour * 13) % 400) / 10;
    return { station, hour, celsius };
  });
}
