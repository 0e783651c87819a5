/** The address bar as reactive state. Links are ordinary anchors; clicks on them stay in the page. */
import { ENVIRONMENT_PATTERN, PRODUCTION } from '../../domain/environment.ts';
import { parseRoute, type Route, whichEnvironment, withQuery } from './routes.ts';

const NAME = new RegExp(ENVIRONMENT_PATTERN);

class Navigation {
  #path = $state(location.pathname);
  #search = $state(location.search);
  readonly route: Route = $derived(parseRoute(this.#path));
  readonly query: URLSearchParams = $derived(new URLSearchParams(this.#search));

  /** Of the branch that is looked at; null for production. */
  readonly environment: string | null = $derived(environmentIn(this.query));

  /** Path and query, as a link to where one is. */
  get href(): string {
    return this.#path + this.#search;
  }

  /** Goes to an address of the console; `replace` leaves no entry behind for 'back'. */
  go(href: string, options: { replace?: boolean } = {}): void {
    if (href === location.pathname + location.search) return;
    if (options.replace) history.replaceState(null, '', href);
    else history.pushState(null, '', href);
    this.#read();
  }

  /** The present address with parameters changed; null takes one away. */
  hrefWith(query: Record<string, string | null>): string {
    return withQuery(this.href, query);
  }

  /** Changes parameters of the present address. */
  set(query: Record<string, string | null>, options: { replace?: boolean } = {}): void {
    this.go(this.hrefWith(query), options);
  }

  /** Follows 'back', and clicks on links within the console. Returns what undoes it. */
  listen(): () => void {
    const onPop = () => this.#read();
    const onClick = (event: MouseEvent) => this.#follow(event);
    addEventListener('popstate', onPop);
    document.addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', onPop);
      document.removeEventListener('click', onClick);
    };
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = event.target instanceof Element ? event.target.closest('a') : null;
    if (anchor?.target !== '' || anchor.hasAttribute('download')) return;
    if (anchor.origin !== location.origin || anchor.pathname.startsWith('/api/')) return;
    event.preventDefault();
    this.go(anchor.pathname + anchor.search);
  }

  #read(): void {
    this.#path = location.pathname;
    this.#search = location.search;
  }
}

/** A name that no environment can have is none: the server would refuse each call. */
function environmentIn(query: URLSearchParams): string | null {
  const name = query.get('environment') ?? '';
  return NAME.test(name) && name !== PRODUCTION ? name : null;
}

export const navigation = new Navigation();
whichEnvironment(() => navigation.environment);
