/**
 * Files of a supplier. A sensor looks for new ones and starts a run for each, once. A file of an odd size waits for a
 * person, for up to two days, without an agent or a slot; a report follows each file and says what became of it.
 *
 * Set `EXAMPLE_INBOX` to a folder of CSV files, and answer with
 * `signalbox runs input RUN odd-size --value '{"load":true}'`.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flow, sensor } from 'signalbox';

const USUAL_ROWS = 1_000;
const inbox = () => process.env.EXAMPLE_INBOX ?? 'inbox';

export const loadFile = flow(
  'load-supplier-file',
  {
    description: 'Loads one file, after a look of a person where it is odd.',
    tags: ['example'],
    owners: ['supply'],
    parameters: {
      type: 'object',
      required: ['file'],
      properties: { file: { type: 'string' } },
    },
  },
  async (ctx, { file }) => {
    const rows = await ctx.step('count', async () => {
      const text = await readFile(join(inbox(), file), 'utf8');
      return text.trim().split('\n').length;
    });
    if (rows > USUAL_ROWS) {
      const answer = await ctx.waitForInput<{ load: boolean }>('odd-size', {
        message: `${file} has ${rows} rows, usual are up to ${USUAL_ROWS}. Load it?`,
        schema: {
          type: 'object',
          required: ['load'],
          properties: { load: { type: 'boolean' } },
        },
        timeout: '2d',
      });
      if (answer?.load !== true) return { file, rows, loaded: false };
    }
    await ctx.step('load', () => ctx.log.info('loaded', { file, rows }));
    return { file, rows, loaded: true };
  },
);

export const newFiles = sensor(
  'supplier-files',
  { every: '5s', triggers: loadFile, description: 'New files in the inbox.' },
  async (ctx) => {
    const names = await readdir(inbox()).catch(() => []);
    // The supplier names files by day: what is new sorts behind what was there.
    const last = ctx.cursor ?? '';
    const fresh = names.filter((name) => name.endsWith('.csv') && name > last).sort();
    if (fresh.length === 0) return { skipReason: `nothing newer than "${last}"` };
    return {
      runs: fresh.map((file) => ({ key: file, parameters: { file } })),
      cursor: fresh.at(-1) ?? last,
    };
  },
);

export const report = flow(
  'supplier-report',
  {
    on: [{ workflow: loadFile }],
    description: 'Says of each file what became of it.',
    tags: ['example'],
    owners: ['supply'],
  },
  async (ctx) => {
    const end = await ctx.trigger?.result<{ file: string; rows: number; loaded: boolean }>();
    if (!end) return ctx.skip('no file was given');
    return `${end.file}: ${end.rows} rows, ${end.loaded ? 'loaded' : 'left out'}`;
  },
);
