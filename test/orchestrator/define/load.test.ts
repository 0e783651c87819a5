import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type LoadedWorkflows, loadWorkflows } from '../../../orchestrator/define/load.ts';
import { watchWorkflows } from '../../../orchestrator/define/watch.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const good = (name: string) => `
  import { workflow } from 'signalbox';
  export default workflow('${name}', {}, (w) => { w.task('t', {}, async () => 1); });
`;

async function folderOf(files: Record<string, string>) {
  const dir = await makeTempDir('load');
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true });
    await writeFile(join(dir.path, name), text);
  }
  return dir;
}

const names = ({ definitions }: LoadedWorkflows) => definitions.map(({ name }) => name).sort();

/** Messages by the end of the file's path. */
function messages({ errors }: LoadedWorkflows): Record<string, string> {
  return Object.fromEntries(errors.map(({ file, message }) => [file.split('/').at(-1), message]));
}

describe('loadWorkflows', () => {
  it('reads all exports of all code files, in a folder far from any node_modules', async () => {
    await using dir = await folderOf({
      'one.ts': good('one'),
      'deep/er/two.mjs': good('two'),
      'three.js': good('three'),
      'several.ts': `
        import { asset, workflow, type Asset } from 'signalbox';
        export const a: Asset = asset('x/a', {}, async () => 1);
        export const list = [asset('x/b', { dependsOn: [a] }, async () => 1), [a]];
        export const other = 5;
        export default workflow('four', {}, (w) => { w.task('t', {}, async () => 1); });
      `,
      'types.d.ts': 'export const broken: = 1;',
      'four.test.ts': 'throw new Error("a test");',
      'node_modules/pkg/index.js': 'throw new Error("a package");',
      '.hidden/x.ts': 'throw new Error("hidden");',
      'notes.txt': 'not code',
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(loaded.errors).toEqual([]);
    expect(names(loaded)).toEqual(['four', 'one', 'three', 'two', 'x/a', 'x/b']);
    expect(loaded.paths.get('two')).toBe(join(dir.path, 'deep/er/two.mjs'));
    expect(loaded.definitions.find(({ name }) => name === 'two')?.file).toMatch(
      /\/deep\/er\/two\.mjs$/,
    );
  });

  it('costs a file that fails its own definitions and no other file’s', async () => {
    await using dir = await folderOf({
      'a.ts': good('a'),
      'throws.ts': `\nthrow new TypeError('not today');`,
      'syntax.ts': `const = 5;`,
      'exits.ts': `process.exit(7);`,
      'kills.ts': `process.kill(process.pid, 'SIGKILL');`,
      'loops.ts': `while (true) {}`,
      'waits.ts': `setInterval(() => {}, 1000); await new Promise(() => {});`,
      'never.ts': `await new Promise(() => {});`,
      'missing.ts': `import 'no-such-package';`,
      'wrong.ts': good('wrong').replace('{}', '{ retires: 1 }'),
      'schema.ts': good('schema').replace('{}', `{ parameters: { type: 'object', required: 5 } }`),
      'rejects.ts': `${good('rejects')}; Promise.reject(new Error('later'));`,
      'z.ts': good('z'),
    });
    const loaded = await loadWorkflows([dir.path], { importLimitMs: 1_000 });
    expect(names(loaded)).toEqual(['a', 'rejects', 'z']);
    expect(messages(loaded)).toEqual({
      'throws.ts': 'TypeError: not today (line 2:7)',
      'syntax.ts': expect.stringMatching(/SyntaxError.*\(line 1\)|SyntaxError/),
      'exits.ts': 'its import ended the process (exit code 7)',
      'kills.ts': 'its import ended the process (signal SIGKILL)',
      'loops.ts': 'its import took longer than 1 s',
      'waits.ts': 'its import took longer than 1 s',
      'never.ts': expect.stringContaining('a top-level await never ended'),
      'missing.ts': expect.stringMatching(/Cannot find package 'no-such-package'/),
      'wrong.ts': expect.stringMatching(
        /^workflow "wrong": unknown option "retires"; did you mean "requires"/,
      ),
      'schema.ts': expect.stringMatching(/not a valid JSON Schema/),
    });
  });

  it('tells of a file that defines something and exports none of it', async () => {
    await using dir = await folderOf({
      'forgot.ts': good('forgot').replace('export default ', ''),
      'promised.ts': `${good('promised').replace('export default', 'const made =')}\nexport default Promise.resolve(made);`,
      'z-helper.ts': `import { workflow } from 'signalbox'; export const make = (name) => workflow(name, {}, (w) => { w.task('t', {}, () => 1); });`,
      'made.ts': `import { make } from './z-helper.ts'; export default make('made');`,
      'plain.ts': 'export const five = 5;',
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(names(loaded)).toEqual(['made']);
    expect(messages(loaded)).toEqual({
      'forgot.ts': expect.stringMatching(/exports none of it: write "export default" .*\(line \d+/),
      'promised.ts': expect.stringMatching(/exports none of it/),
    });
  });

  it('refuses a schedule whose runs could have no valid parameters, and a default that its schema refuses', async () => {
    const withOptions = (name: string, options: string) => good(name).replace('{}', options);
    const day = `properties: { day: { type: 'string' } }, required: ['day']`;
    const choice = `properties: { a: {}, b: {} }, anyOf: [{ required: ['a'] }, { required: ['b'] }]`;
    await using dir = await folderOf({
      'hand.ts': withOptions('hand', `{ parameters: { type: 'object', ${day} } }`),
      'clock.ts': withOptions(
        'clock',
        `{ schedule: '@daily', parameters: { type: 'object', ${day} } }`,
      ),
      'choice.ts': withOptions(
        'choice',
        `{ schedule: '@daily', parameters: { type: 'object', ${choice} } }`,
      ),
      'five.ts': withOptions(
        'five',
        `{ parameters: { type: 'object', properties: { n: { type: 'integer', default: 'five' } } } }`,
      ),
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(names(loaded)).toEqual(['choice', 'hand']);
    expect(messages(loaded)).toEqual({
      'clock.ts': expect.stringContaining('/day has no default, and runs of the schedule'),
      'five.ts': expect.stringContaining('the default of /n must be integer'),
    });
  });

  it('does not blame a file for what an earlier one left behind', async () => {
    await using dir = await folderOf({
      'a-bomb.ts': `${good('bomb')}; setTimeout(() => process.exit(3), 50);`,
      'b-slow.ts': `await new Promise((resolve) => setTimeout(resolve, 400)); ${good('slow')}`,
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(loaded.errors).toEqual([]);
    expect(names(loaded)).toEqual(['bomb', 'slow']);
  });

  it('keeps the first of two files that define one name, and tells the other', async () => {
    await using dir = await folderOf({
      'a.ts': good('same'),
      'b.ts': good('same'),
      'twice.ts': `${good('double')}; export const again = workflow('double', {}, (w) => { w.task('t', {}, async () => 1); });`,
      'again.ts': `export * from './a.ts'; export { default } from './a.ts';`,
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(names(loaded)).toEqual(['same']);
    expect(loaded.paths.get('same')).toBe(join(dir.path, 'a.ts'));
    expect(messages(loaded)).toEqual({
      'b.ts': expect.stringMatching(/^workflow "same" is already defined in .*a\.ts$/),
      'twice.ts': 'it defines "double" twice',
    });
  });

  it('lets a factory in one file define things for another', async () => {
    await using dir = await folderOf({
      'factory.ts': `import { workflow } from 'signalbox';
        export const make = (name: string) => workflow(name, {}, (w) => { w.task('t', {}, async () => 1); });`,
      'user.ts': `import { make } from './factory.ts'; export default make('made');`,
    });
    expect(names(await loadWorkflows([dir.path]))).toEqual(['made']);
  });

  it('leaves out one file of assets that depend on each other in a circle', async () => {
    const file = (key: string, on: string) =>
      `import { asset } from 'signalbox'; export const x = asset('${key}', { dependsOn: ['${on}'] }, async () => 1);`;
    await using dir = await folderOf({
      'a.ts': file('c/a', 'c/b'),
      'b.ts': file('c/b', 'c/a'),
      'c.ts': file('c/c', 'c/b'),
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(names(loaded)).toEqual(['c/a', 'c/c']);
    expect(messages(loaded)['b.ts']).toMatch(/in a circle: c\/\w → c\/\w → c\/\w/);
  });

  it('takes an asset that goes on from its own partition before, which is no circle', async () => {
    await using dir = await folderOf({
      'a.ts': `import { asset, daily, dep, timeWindow } from 'signalbox';
        const partitions = daily({ start: '2026-01-01' });
        export const a = asset('s/a', { partitions }, async () => 1);
        export const total = asset('s/total', {
          partitions,
          dependsOn: { a, before: dep('s/total', timeWindow({ offset: -1 })) },
        }, async () => 1);`,
    });
    const loaded = await loadWorkflows([dir.path]);
    expect(loaded.errors).toEqual([]);
    expect(names(loaded)).toEqual(['s/a', 's/total']);
  });

  it('says which folder cannot be read', async () => {
    await expect(loadWorkflows(['/no/such/folder'])).rejects.toThrow(/\/no\/such\/folder/);
  });
});

describe('watchWorkflows', () => {
  it('reads again after a file was changed, added or deleted', async () => {
    await using dir = await folderOf({ 'a.ts': good('a') });
    const seen: string[][] = [];
    const watching = watchWorkflows([dir.path], (loaded) => {
      seen.push(names(loaded));
    });
    try {
      await writeFile(join(dir.path, 'a.ts'), good('renamed'));
      await waitFor(() => seen.at(-1)?.join() === 'renamed', { what: 'the changed file' });
      await writeFile(join(dir.path, 'b.ts'), good('b'));
      await waitFor(() => seen.at(-1)?.join() === 'b,renamed', { what: 'the new file' });
      await rm(join(dir.path, 'a.ts'));
      await waitFor(() => seen.at(-1)?.join() === 'b', { what: 'the deleted file' });
    } finally {
      watching.close();
    }
  });
});

describe('a registry', () => {
  it('imports a file when it is first needed, and its changed form after a reload', async () => {
    await using dir = await folderOf({
      'a.ts': `import { value } from './value.ts'; import { asset } from 'signalbox';
        export const shown = asset('r/a', {}, async () => value);`,
      'value.ts': 'export const value = 1;',
      // In a process of its own: a test's own imports go through a transformer.
      'main.mjs': `
        import { writeFileSync } from 'node:fs';
        const { loadWorkflows } = await import('${import.meta.resolve('../../../orchestrator/define/load.ts')}');
        const { registryOf } = await import('${import.meta.resolve('../../../orchestrator/define/registry.ts')}');
        const read = async (generation) => {
          const registry = registryOf(await loadWorkflows([process.argv[2] + '/a.ts']), generation);
          const definition = await registry.find('r/a');
          return [await definition.handlers.get('r/a')(), await registry.exportNames('r/a')];
        };
        const before = await read(0);
        writeFileSync(process.argv[2] + '/value.ts', 'export const value = 2;');
        console.log(JSON.stringify([before, await read(1)]));
      `,
    });
    const { stdout } = await promisify(execFile)(process.execPath, [
      join(dir.path, 'main.mjs'),
      dir.path,
    ]);
    expect(JSON.parse(stdout)).toEqual([
      [1, ['shown']],
      [2, ['shown']],
    ]);
  });
});
