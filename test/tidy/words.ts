/** Words that must not stand in the project. */
import { isTest, type ProjectFile, type Violation } from './project.ts';

interface WordRule {
  readonly pattern: RegExp;
  readonly message: string;
  /** Files to which the rule does not apply. */
  readonly except?: RegExp;
}

/** This file names what it forbids. */
const RULE_FILES = /^test\/tidy\//;

/** Words that other systems spell differently in what they send. */
const FOREIGN_WORDS = /^(engines|test|collector)\//;

const RULES: readonly WordRule[] = [
  {
    pattern: /(?<![\w.])\/(work|farm|root|Users)\/|(?<![\w.])\/home\/(?!node\b|user\b)[a-z]/,
    message: 'names a path of one machine',
  },
  { pattern: /\.\.\/shared\b/, message: 'names a folder outside the project' },
  {
    pattern: /https?:\/\/(registry|proxy|static|files|repo1?|deb|index)\.[a-z]/,
    message: 'names a host of a registry',
  },
  { pattern: /\b(TODO|FIXME|XXX)\b/, message: 'leaves work open: finish it' },
  { pattern: /\bnot (yet )?implemented\b/i, message: 'leaves work open: finish it' },
  { pattern: /@ts-(ignore|nocheck)\b/, message: 'silences the compiler' },
  { pattern: /\b[Ii]ssue #?\d+\b/, message: 'refers to a tracker that readers do not have' },
  {
    pattern: /\bcancel(ed|ing)\b/,
    message: "write 'cancelled', 'cancelling'",
    except: FOREIGN_WORDS,
  },
  { pattern: /\b[Mm]aterialis|\b[Rr]e-materiali/, message: "write 'materialize', 'rematerialize'" },
  { pattern: /\bheart-beat|\bheart beat/i, message: "write 'heartbeat'" },
  { pattern: /\b(back-fill|back fill)/i, message: "write 'backfill'" },
  { pattern: /\bdead-?man\b|\bwhitelist|\bblacklist/i, message: 'say what it does' },
];

/** Forbidden words, with their places. */
export function findForbiddenWords(files: readonly ProjectFile[]): Violation[] {
  return files
    .filter(({ path }) => !RULE_FILES.test(path))
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((content, index) =>
          RULES.filter((rule) => rule.pattern.test(content) && !rule.except?.test(path)).map(
            ({ message }) => ({ path, line: index + 1, message }),
          ),
        ),
    );
}

/**
 * Tests that do not run without saying so. A test may depend on a tool that is not there: then
 * `describe.skipIf(skipWhen(missing, reason))` prints the reason.
 */
export function findSilentSkips(files: readonly ProjectFile[]): Violation[] {
  return files.filter(isTest).flatMap(({ path, text }) =>
    text.split('\n').flatMap((content, index) => {
      if (RULE_FILES.test(path)) return [];
      const line = index + 1;
      if (/\b(it|test|describe|suite)\.(skip|only|todo|fails)\b(?!If)/.test(content)) {
        return [{ path, line, message: 'a test that does not run, or that runs alone' }];
      }
      const unexplained = /\.(skipIf|runIf)\((?!\s*skipWhen\b)/.test(content);
      return unexplained ? [{ path, line, message: 'skips without skipWhen(…, reason)' }] : [];
    }),
  );
}
