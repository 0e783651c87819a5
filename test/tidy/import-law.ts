/**
 * Which folder may import which. The arrows of the architecture hold because this refuses all others.
 */
import type { ProjectFile, Violation } from './project.ts';
import { isCode } from './project.ts';
import { packageOf, referencesOf, resolveRelative } from './references.ts';

const DOMAIN_ONLY = ['domain'];
const PRODUCT = [
  'domain',
  'orchestrator',
  'engines',
  'collector',
  'incidents',
  'runbooks',
  'dashboards',
  'console',
];

/** Folders that a folder may import besides itself; folders that are not named may import anything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  orchestrator: DOMAIN_ONLY,
  engines: DOMAIN_ONLY,
  collector: DOMAIN_ONLY,
  incidents: DOMAIN_ONLY,
  runbooks: DOMAIN_ONLY,
  console: DOMAIN_ONLY,
  dashboards: [],
  examples: [],
  server: PRODUCT,
};

/** Code such as users write, which knows the product by its package name. */
const USERS_VIEW = /^(examples|test|bench)\/|^server\/.*(workflows|templates)\//;

/** Pure packages, which the shared words may be built with. */
const PURE_PACKAGES = new Set(['typebox', 'ajv', 'ajv-formats', 'node:crypto', 'node:util']);

const EFFECTS =
  /^node:(fs|net|tls|https?|http2|dgram|dns|child_process|cluster|worker_threads|process|os)(\/|$)/;

/** Folders in which a function's answer depends on its arguments alone. */
const PURE_FOLDERS = ['domain/', 'incidents/detectors/'];

/** Imports that cross a border the architecture closes. */
export function findForbiddenImports(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isCode).flatMap((file) =>
    referencesOf(file).flatMap(({ specifier, line }) => {
      const message = refusal(file.path, specifier);
      return message ? [{ path: file.path, line, message }] : [];
    }),
  );
}

function refusal(path: string, specifier: string): string | undefined {
  const folder = topFolder(path);
  const target = resolveRelative(path, specifier);
  if (target !== undefined) {
    const allowed = MAY_IMPORT[folder];
    const targetFolder = topFolder(target);
    if (!allowed || targetFolder === folder || allowed.includes(targetFolder)) return undefined;
    const reach = allowed.length > 0 ? `itself and ${allowed.join(', ')}` : 'itself only';
    return `imports ${target}: ${folder}/ may import ${reach}`;
  }
  if (PURE_FOLDERS.some((pure) => path.startsWith(pure)) && EFFECTS.test(specifier)) {
    return `imports ${specifier}: code here is pure, effects belong to its callers`;
  }
  const name = packageOf(specifier) ?? specifier;
  if (folder === 'domain' && !PURE_PACKAGES.has(name)) {
    return `imports ${name}: domain/ may import ${[...PURE_PACKAGES].join(', ')} only`;
  }
  if (name === 'signalbox' && !USERS_VIEW.test(path)) {
    return 'imports signalbox: only workflow files see the product as its users do';
  }
  if (folder === 'examples' && name !== 'signalbox' && !name.startsWith('node:')) {
    return `imports ${name}: an example needs nothing but signalbox`;
  }
  return undefined;
}

function topFolder(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
