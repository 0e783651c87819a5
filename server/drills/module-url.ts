/** Modules that run in processes of their own: `.ts` in the source tree, `.js` in the built package. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** @param path relative to `server/`, without its extension: `cli/main` */
export function serverModule(path: string): URL {
  return new URL(`../${path}.${extension}`, import.meta.url);
}
