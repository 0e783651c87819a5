/** Attachment for a region that scrolls and holds nothing that takes the focus: the keys must reach it. */
export function takesKeys(node: HTMLElement): void {
  node.tabIndex = 0;
}
