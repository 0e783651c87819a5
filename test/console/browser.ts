/** A real browser for the journeys, and what each page must keep: no script error, nothing that axe finds. */
import { AxeBuilder } from '@axe-core/playwright';
import bundled from '@sparticuz/chromium';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export interface TestBrowser extends AsyncDisposable {
  /** A page in a session of its own. What its scripts throw or complain about is kept. */
  open(options?: BrowserContextOptions): Promise<TestPage>;
}

export interface TestPage {
  readonly page: Page;
  /** Errors of the page's scripts and of its security policy so far. */
  readonly errors: string[];
}

/** The package's own arguments put all into one process, which ends with the first page that closes. */
const ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'];

export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath: await bundled.executablePath(),
    args: ARGUMENTS,
  });
  return {
    async open(options = {}) {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 860 },
        locale: 'en-GB',
        reducedMotion: 'reduce',
        ...options,
      });
      const page = await context.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('console', (message) => {
        const text = message.text();
        const isTraffic = text.startsWith('Failed to load resource');
        if (message.type() === 'error' && !isTraffic) errors.push(text);
      });
      return { page, errors };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** Violations of accessibility rules on the page as it is, one a line. */
export async function axeViolations(page: Page): Promise<string> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`))
    .join('\n');
}

/** Whether the page is wider than the window. */
export function scrollsSideways(page: Page): Promise<boolean> {
  return page.evaluate<boolean>(
    `document.documentElement.scrollWidth > innerWidth ||
     document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth`,
  );
}
