/** The tokens' colours as a canvas needs them: worked out for the theme that holds now. */

const NAMES = [
  'text',
  'muted',
  'line',
  'lamp',
  'moving',
  'caution',
  'danger',
  'degraded',
  'clear',
] as const;

export function palette(): Record<(typeof NAMES)[number], string> {
  const probe = document.createElement('span');
  document.body.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  probe.remove();
  return colours as Record<(typeof NAMES)[number], string>;
}
