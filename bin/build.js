/**
 * Builds what the package carries. `npm run build` makes all of `dist/`: JavaScript and declarations,
 * the files that code reads at run time, and the console. `node bin/build.js console` builds the
 * console alone, and only when its sources are newer than the last build.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const CONSOLE = join(ROOT, 'console');
const CONSOLE_DIST = join(CONSOLE, 'dist');
const require = createRequire(import.meta.url);

const CODE_FOLDERS = [
  'domain',
  'orchestrator',
  'engines',
  'collector',
  'incidents',
  'runbooks',
  'server',
  'examples',
];

const [target = 'all', ...rest] = process.argv.slice(2);
if (rest.length > 0 || !['all', 'console'].includes(target)) {
  fail('usage: node bin/build.js [all|console]', 2);
}
buildConsole();
if (target === 'all') {
  rmSync(DIST, { recursive: true, force: true });
  compile();
  copyAssets();
  console.log(`built ${DIST}`);
}

/** Compiles with declarations. Workflow files are loaded by folder, where declarations would be noise. */
function compile() {
  run('typescript/bin/tsc', ['-p', 'tsconfig.build.json']);
  for (const path of globSync('{examples,server/**/workflows}/**/*.d.ts', { cwd: DIST })) {
    rmSync(join(DIST, path));
  }
  for (const path of globSync('**/*.d.ts', { cwd: DIST })) nameBuiltModules(join(DIST, path));
  if (existsSync(join(DIST, 'package.json'))) {
    fail('code imports package.json, whose copy in dist/ would hide the real one: read it instead');
  }
}

/** The compiler leaves `.ts` in the imports of declarations, which only a user's newer options allow. */
function nameBuiltModules(path) {
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(/((?:from |import\()['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'),
  );
}

/** Copies migrations, templates and the like to where the built code looks for them. */
function copyAssets() {
  const copied = CODE_FOLDERS.flatMap((folder) =>
    globSync(`${folder}/**/*`, { cwd: ROOT, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
      .filter((path) => !path.endsWith('.ts') || /(^|\/)templates\//.test(path)),
  );
  for (const path of [...copied, ...globSync('dashboards/**/*.{json,yaml,yml}', { cwd: ROOT })]) {
    copy(join(ROOT, path), join(DIST, path));
  }
  if (existsSync(CONSOLE_DIST)) copy(CONSOLE_DIST, join(DIST, 'console', 'dist'));
}

function buildConsole() {
  if (!existsSync(join(CONSOLE, 'index.html'))) return;
  if (!existsSync(join(ROOT, 'node_modules', 'vite'))) {
    console.log(
      'the console is not built: vite is not installed (npm ci without --omit=dev has it)',
    );
    return;
  }
  const newest = newestChange(['console/**/*', 'domain/**/*', 'package-lock.json']);
  const built = join(CONSOLE_DIST, 'index.html');
  if (existsSync(built) && statSync(built).mtimeMs > newest) return;
  run('vite/bin/vite.js', ['build', '--logLevel', 'warn'], CONSOLE);
  console.log(`built ${CONSOLE_DIST}`);
}

/** Time of the last change of the files, in milliseconds since the epoch. */
function newestChange(patterns) {
  const paths = globSync(patterns, {
    cwd: ROOT,
    exclude: ['console/dist', 'console/dist/**'],
  });
  return Math.max(...paths.map((path) => statSync(join(ROOT, path)).mtimeMs));
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}

/** Runs a program of an installed package, such as `typescript/bin/tsc`. */
function run(program, args, cwd = ROOT) {
  const [name] = program.split('/');
  const folder = dirname(require.resolve(`${name}/package.json`));
  const script = join(folder, program.slice(name.length + 1));
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd, stdio: 'inherit' });
  if (status !== 0) fail(`${program} failed`);
}

/** @returns {never} */
function fail(message, code = 1) {
  console.error(`build: ${message}`);
  process.exit(code);
}
