/** The packages: pinned, used, declared where they are needed, and fetched from anywhere. */
import { isCode, type ProjectFile, type Violation } from './project.ts';
import { packageOf, referencesOf } from './references.ts';

/** The fields of package.json that the rules read. */
export interface Manifest {
  readonly name: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

/** Code that is in the package which users install. Its console is built, packages included. */
const SHIPPED = /^(bin|domain|orchestrator|engines|collector|incidents|runbooks|server)\//;
const NOT_SHIPPED = /^(bin\/build\.js|server\/dev\.ts)$/;

/** Versions that are not exact. */
export function findLooseVersions(manifest: Manifest): Violation[] {
  const all = { ...manifest.dependencies, ...manifest.devDependencies };
  return Object.entries(all).flatMap(([name, version]) =>
    EXACT.test(version)
      ? []
      : [{ path: 'package.json', message: `${name} ${version}: pin the exact version` }],
  );
}

/**
 * Packages that no code imports. A package that is used otherwise (a command, a peer) is one whose
 * reason ARCHITECTURE.md gives in a line with its name in backticks.
 */
export function findUnusedPackages(
  manifest: Manifest,
  files: readonly ProjectFile[],
  architecture: string,
): Violation[] {
  const imported = new Set(
    files.filter(isCode).flatMap((file) => referencesOf(file).map((r) => packageOf(r.specifier))),
  );
  const styles = files.filter(({ path }) => /\.(css|svelte)$/.test(path)).map(({ text }) => text);
  const isUsed = (name: string) =>
    imported.has(name) ||
    imported.has(name.replace('@types/', '')) ||
    name === '@types/node' ||
    architecture.includes(`\`${name}\``) ||
    styles.some((text) => text.includes(`'${name}`));
  return Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    .filter((name) => !isUsed(name))
    .map((name) => ({ path: 'package.json', message: `${name} is imported nowhere` }));
}

/** Imports of packages that package.json does not give to that code. */
export function findUndeclaredPackages(
  manifest: Manifest,
  files: readonly ProjectFile[],
): Violation[] {
  return files.filter(isCode).flatMap((file) => {
    const shipped = SHIPPED.test(file.path) && !NOT_SHIPPED.test(file.path);
    return referencesOf(file).flatMap(({ specifier, typeOnly, line }) => {
      const name = packageOf(specifier);
      if (!name || name === manifest.name || name in manifest.dependencies) return [];
      const inDev =
        name in manifest.devDependencies || `@types/${name}` in manifest.devDependencies;
      if (inDev && (!shipped || typeOnly)) return [];
      const where = inDev ? 'devDependencies, but users run this code' : 'no dependencies';
      return [{ path: file.path, line, message: `imports ${name}, which is in ${where}` }];
    });
  });
}

/** Addresses in the lockfile, which would tie an install to one registry. */
export function findLockedHosts(lockfile: string): Violation[] {
  return lockfile
    .split('\n')
    .flatMap((content, index) =>
      /"resolved":\s*"https?:/.test(content)
        ? [{ path: 'package-lock.json', line: index + 1, message: 'names the host of a registry' }]
        : [],
    );
}

/**
 * Packages for other platforms that the lockfile leaves out: `npm ci` refuses such a lockfile. It comes
 * about where the registry that the lockfile was made with does not carry every platform's package.
 */
export function findMissingPlatforms(lockfile: string): Violation[] {
  const { packages } = JSON.parse(lockfile) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  return Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => !isLocked(name, path, packages))
      .map((name) => ({
        path: 'package-lock.json',
        message: `lacks ${name}, which ${path} names`,
      })),
  );
}

/** Whether the package is there where Node would look for it from `path`: beside it, or further out. */
function isLocked(name: string, path: string, packages: object): boolean {
  for (let folder = path; folder !== ''; ) {
    if (`${folder}/node_modules/${name}` in packages) return true;
    const outer = folder.lastIndexOf('/node_modules/');
    folder = outer < 0 ? '' : folder.slice(0, outer);
  }
  return `node_modules/${name}` in packages;
}
