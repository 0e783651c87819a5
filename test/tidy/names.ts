/** A file's name says its one purpose. */
import { isCode, type ProjectFile, type Violation } from './project.ts';

const SAY_NOTHING = /^(utils?|helpers?|common|managers?|misc)$/;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** Names that say nothing, and names that are not in kebab-case. */
export function findBadNames(files: readonly ProjectFile[]): Violation[] {
  return files
    .filter((file) => isCode(file) || file.path.endsWith('.sql'))
    .flatMap(({ path }) => {
      const parts = path.split('/').flatMap((part) => part.split('.').filter(Boolean));
      const words = parts.flatMap((part) => part.split(/[-_]/));
      const empty = words.find((word) => SAY_NOTHING.test(word.toLowerCase()));
      if (empty) return [{ path, message: `'${empty}' says nothing: name the purpose` }];
      const odd = parts.find((part) => !KEBAB.test(part.replaceAll('_', '-')));
      if (odd) return [{ path, message: `'${odd}' is not in kebab-case` }];
      const snake = !path.endsWith('.sql') && parts.find((part) => part.includes('_'));
      return snake ? [{ path, message: `'${snake}' is not in kebab-case` }] : [];
    });
}
