/** A bar in the last line of a terminal, for what takes long; where no terminal is, nothing but lines. */

const BAR_WIDTH = 30;
const COLUMNS = 80;
const CLEAR = '\r\u001b[K';

/** What a bar writes to: `process.stderr`, as a rule. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressBar {
  /** Shows how far it is, also as numbers; `text` stands behind them. */
  show(done: number, total: number, text: string): void;
  /** Shows a share from 0 to 1; `text` stands behind the bar. */
  draw(share: number, text: string): void;
  /** Writes a line above the bar. */
  line(text: string): void;
  /** Takes the bar away. */
  clear(): void;
}

/** A bar that draws only on a terminal, and not at all where it is `quiet`; lines are always written. */
export function progressBar(terminal: Terminal, quiet = false): ProgressBar {
  const draws = terminal.isTTY === true && !quiet;
  let shown = '';
  const clear = () => {
    if (shown !== '') terminal.write(CLEAR);
    shown = '';
  };
  const draw = (share: number, text: string) => {
    if (!draws) return;
    const full = Math.round(Math.min(1, share) * BAR_WIDTH);
    const bar = `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
    shown = `${bar} ${text}`.slice(0, (terminal.columns || COLUMNS) - 1);
    terminal.write(`${CLEAR}${shown}`);
  };
  return {
    clear,
    draw,
    show: (done, total, text) => draw(total > 0 ? done / total : 0, `${done}/${total}  ${text}`),
    line(text) {
      const bar = shown;
      clear();
      terminal.write(`${text}\n`);
      if (bar === '') return;
      shown = bar;
      terminal.write(bar);
    },
  };
}
