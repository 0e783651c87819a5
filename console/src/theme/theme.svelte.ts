/** Light or dark: the system's wish, unless one was chosen here. */

const KEY = 'signalbox-theme';
export type Theme = 'system' | 'light' | 'dark';
const ORDER: readonly Theme[] = ['system', 'dark', 'light'];

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return ORDER.find((theme) => theme === value) ?? 'system';
}

class ThemeChoice {
  choice = $state<Theme>(stored());

  constructor() {
    this.#apply();
  }

  /** The next of system, dark, light. */
  turn(): void {
    this.choice = ORDER[(ORDER.indexOf(this.choice) + 1) % ORDER.length] ?? 'system';
    localStorage.setItem(KEY, this.choice);
    this.#apply();
  }

  #apply(): void {
    document.documentElement.dataset['theme'] = this.choice;
  }
}

export const theme = new ThemeChoice();
