import { fileURLToPath } from 'node:url';

/**
 * Path of a module that is started as a process: `.ts` in the source tree, `.js` where the code is built.
 * @param name as an import would name it: `./postgres-process.ts`
 * @param from `import.meta.url` of who names it
 */
export function modulePath(name: string, from: string): string {
  const built = from.endsWith('.js') ? name.replace(/\.ts$/, '.js') : name;
  return fileURLToPath(new URL(built, from));
}
