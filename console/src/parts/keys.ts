/** Whether the key goes into a field rather than to the page. */
export function isTyping(event: KeyboardEvent): boolean {
  const { target } = event;
  return target instanceof HTMLElement && target.closest('input, textarea, select') !== null;
}
