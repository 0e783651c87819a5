/** Text with ANSI colours as pieces. Only colours and weight are kept; everything else is taken out. */

export interface AnsiPiece {
  readonly text: string;
  /** A sign's colour, or null for plain text. */
  readonly tone: 'danger' | 'clear' | 'caution' | 'moving' | 'degraded' | 'muted' | null;
  readonly bold: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
const SEQUENCE = /\u001b\[([\d;]*)([A-Za-z])|\u001b\][^\u0007]*\u0007/g;

const TONES: Record<number, AnsiPiece['tone']> = {
  30: 'muted',
  31: 'danger',
  32: 'clear',
  33: 'caution',
  34: 'moving',
  35: 'degraded',
  36: 'moving',
  37: null,
  39: null,
  90: 'muted',
  91: 'danger',
  92: 'clear',
  93: 'caution',
  94: 'moving',
  95: 'degraded',
  96: 'moving',
  97: null,
};

export function parseAnsi(text: string): AnsiPiece[] {
  const pieces: AnsiPiece[] = [];
  let tone: AnsiPiece['tone'] = null;
  let bold = false;
  let from = 0;
  const push = (part: string) => {
    if (part !== '') pieces.push({ text: part, tone, bold });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    push(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    for (const code of (match[1] || '0').split(';').map(Number)) {
      if (code === 0) [tone, bold] = [null, false];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code in TONES) tone = TONES[code] ?? null;
    }
  }
  push(text.slice(from));
  return pieces;
}
