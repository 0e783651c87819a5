/**
 * Concurrency keys are told by templates, not by code, so that a server knows the key of a task before any agent
 * has it: `tenant-${parameters.tenant}`. A place names `workflow` or a path into the parameters (`parameters.a.b`).
 * What is not there, or is no text, number or truth value, is an empty text.
 */
import { createHash } from 'node:crypto';

const PLACE = /\$\{([^}]*)\}/g;
const MAX_KEY_LENGTH = 400;

/** Fills a template. A very long key is named by its hash. */
export function fillTemplate(
  template: string,
  of: { readonly workflow: string; readonly parameters: Readonly<Record<string, unknown>> },
): string {
  const text = template.replace(PLACE, (_, place: string) => {
    const path = place.trim();
    if (path === 'workflow') return of.workflow;
    const value = path.split('.').slice(1).reduce<unknown>(readField, of.parameters);
    return typeof value === 'object' || value === undefined ? '' : String(value);
  });
  if (text.length <= MAX_KEY_LENGTH) return text;
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

function readField(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[field];
}
