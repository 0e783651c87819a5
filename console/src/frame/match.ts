/** Finding by name: every word must stand in the label; labels that start with the text come first. */

export interface PaletteEntry {
  readonly kind: 'go' | 'do' | 'incident' | 'workflow' | 'asset' | 'run';
  readonly label: string;
  run(): void;
}

export function matchEntries<T extends { readonly label: string }>(
  entries: readonly T[],
  text: string,
  limit: number,
): T[] {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/).filter((word) => word !== '');
  const matching = entries.filter(({ label }) => {
    const lower = label.toLowerCase();
    return words.every((word) => lower.includes(word));
  });
  const rank = ({ label }: T) => (label.toLowerCase().startsWith(wanted) ? 0 : 1);
  return matching.toSorted((a, b) => rank(a) - rank(b)).slice(0, limit);
}
