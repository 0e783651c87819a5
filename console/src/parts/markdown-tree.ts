/**
 * Markdown as a tree of what may be shown, read by marked's lexer. HTML in it is text like any other; links lead only
 * to the web and to mail; pictures are links, since nothing is loaded from elsewhere. What nests too deep is text.
 */
import { lexer, type MarkedToken, type Token } from 'marked';

export type Block =
  | { readonly kind: 'heading'; readonly depth: number; readonly inlines: readonly Inline[] }
  | { readonly kind: 'paragraph'; readonly inlines: readonly Inline[] }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'rule' }
  | {
      readonly kind: 'list';
      readonly ordered: boolean;
      readonly start: number;
      readonly items: readonly (readonly Block[])[];
    }
  | {
      readonly kind: 'table';
      readonly head: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    };

export type Inline =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'break' }
  | {
      readonly kind: 'marked';
      readonly as: 'strong' | 'em' | 'del';
      readonly inlines: readonly Inline[];
    }
  | { readonly kind: 'link'; readonly href: string; readonly inlines: readonly Inline[] };

const MAX_DEPTH = 12;
const MAX_BLOCKS = 2_000;

/** The tree of a text; one that cannot be read is a paragraph of itself. */
export function markdownTree(text: string): readonly Block[] {
  try {
    return blocksOf(lexer(text).slice(0, MAX_BLOCKS), 0);
  } catch {
    return [{ kind: 'paragraph', inlines: [{ kind: 'text', text }] }];
  }
}

/** Whether an address may be followed: the web and mail, no script, nothing of this server. */
export function safeHref(href: string): string | null {
  return /^(https?:\/\/|mailto:)/i.test(href.trim()) ? href.trim() : null;
}

function blocksOf(tokens: readonly Token[], depth: number): Block[] {
  return tokens.flatMap((token) => blockOf(token as MarkedToken, depth + 1));
}

function blockOf(token: MarkedToken, depth: number): Block[] {
  if (depth > MAX_DEPTH) return [textBlock(token.raw)];
  switch (token.type) {
    case 'space':
    case 'def':
      return [];
    case 'hr':
      return [{ kind: 'rule' }];
    case 'code':
      return [{ kind: 'code', text: token.text }];
    case 'heading':
      return [{ kind: 'heading', depth: token.depth, inlines: inlinesOf(token.tokens, depth) }];
    case 'paragraph':
      return [{ kind: 'paragraph', inlines: inlinesOf(token.tokens, depth) }];
    case 'text':
      return [{ kind: 'paragraph', inlines: inlinesOf(token.tokens ?? [token], depth) }];
    case 'blockquote':
      return [{ kind: 'quote', blocks: blocksOf(token.tokens, depth) }];
    case 'list': {
      const items = token.items.map((item) => blocksOf(item.tokens, depth));
      return [{ kind: 'list', ordered: token.ordered, start: Number(token.start) || 1, items }];
    }
    case 'table': {
      const cells = (row: readonly { readonly tokens: Token[] }[]) =>
        row.map((cell) => inlinesOf(cell.tokens, depth));
      return [{ kind: 'table', head: cells(token.header), rows: token.rows.map(cells) }];
    }
    default:
      return [textBlock(token.raw)];
  }
}

const textBlock = (raw: string): Block => ({
  ...{ kind: 'paragraph', inlines: [{ kind: 'text', text: raw.trimEnd() }] },
});

function inlinesOf(tokens: readonly Token[], depth: number): Inline[] {
  return tokens.map((token) => inlineOf(token as MarkedToken, depth + 1));
}

function inlineOf(token: MarkedToken, depth: number): Inline {
  if (depth > MAX_DEPTH) return { kind: 'text', text: token.raw };
  switch (token.type) {
    case 'br':
      return { kind: 'break' };
    case 'codespan':
      return { kind: 'code', text: token.text };
    case 'strong':
    case 'em':
    case 'del':
      return { kind: 'marked', as: token.type, inlines: inlinesOf(token.tokens, depth) };
    case 'link':
      return linkOf(token.href, inlinesOf(token.tokens, depth), token.raw);
    case 'image':
      return linkOf(token.href, [{ kind: 'text', text: token.text || token.href }], token.raw);
    case 'escape':
    case 'text':
      return { kind: 'text', text: token.text };
    default:
      return { kind: 'text', text: token.raw };
  }
}

function linkOf(href: string, inlines: readonly Inline[], raw: string): Inline {
  const safe = safeHref(href);
  return safe === null ? { kind: 'text', text: raw } : { kind: 'link', href: safe, inlines };
}
