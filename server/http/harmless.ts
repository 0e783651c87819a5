/** What tasks gave, as a download: nothing that comes from a task runs in a browser, whatever it says that it is. */

/** Headers of each such answer. */
export const HARMLESS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'private, no-cache',
} as const;

/** A key as part of a file's name that is safe in a header. */
export function fileNamePart(key: string): string {
  return key.replaceAll(/[^\w.-]+/g, '-');
}
