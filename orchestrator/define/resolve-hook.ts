/**
 * Lets workflow files name this very package as `signalbox`, wherever they lie: also in a folder without
 * `node_modules`, and also where a project has a copy of its own installed, so that a process holds one.
 */
import { registerHooks } from 'node:module';

const INDEX = moduleBeside('../index.ts');

/** Marks modules that are read again after a change; what they import by path is read again with them. */
const GENERATION = 'signalbox-generation';

let registered = false;

/** The URL of a module of this package; its extension is `.js` in the built package. */
export function moduleBeside(path: string): string {
  const built = import.meta.url.endsWith('.js');
  return new URL(built ? path.replace(/\.ts$/, '.js') : path, import.meta.url).href;
}

/** Registers the hook in this process; once is enough. */
export function resolveSignalbox(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'signalbox') return { url: INDEX, shortCircuit: true };
      const resolved = next(specifier, context);
      if (!resolved.url.startsWith('file:')) return resolved;
      // Where no package.json tells, TypeScript files are modules; to find that out by parsing costs time.
      const format = resolved.format ?? (resolved.url.endsWith('.ts') ? 'module-typescript' : null);
      const url = withGeneration(resolved.url, specifier, context.parentURL);
      return { ...resolved, url, ...(format === null ? {} : { format }) };
    },
  });
}

function withGeneration(url: string, specifier: string, parent: string | undefined): string {
  if (parent === undefined || !specifier.startsWith('.')) return url;
  const generation = new URL(parent).searchParams.get(GENERATION);
  return generation === null ? url : generationUrl(url, Number(generation));
}

/** The URL under which a module is imported in a generation; 0 is the first. */
export function generationUrl(url: string, generation: number): string {
  return generation === 0 ? url : `${url}?${GENERATION}=${generation}`;
}
