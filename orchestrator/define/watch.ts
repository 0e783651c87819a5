/** Reads workflow files again when they change. */
import { type FSWatcher, watch } from 'node:fs';
import { type LoadedWorkflows, type LoadOptions, loadWorkflows } from './load.ts';

/** Editors write a file in several steps; all of them are one change. */
const QUIET_MS = 150;

/**
 * Loads again whenever something under the folders changes; `onChange` gets the new whole, one at a time and in
 * order. `onError` is told when a folder cannot be read.
 */
export function watchWorkflows(
  folders: readonly string[],
  onChange: (loaded: LoadedWorkflows) => void | Promise<void>,
  options: LoadOptions & { onError?: (error: unknown) => void } = {},
): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  let loading = false;
  let again = false;
  let closed = false;

  async function load(): Promise<void> {
    if (loading) {
      again = true;
      return;
    }
    loading = true;
    try {
      do {
        again = false;
        const loaded = await loadWorkflows(folders, options);
        if (!closed) await onChange(loaded);
      } while (again && !closed);
    } catch (error) {
      options.onError?.(error);
    } finally {
      loading = false;
    }
  }

  function changed(name: string | null): void {
    if (closed || name?.split(/[\\/]/).includes('node_modules')) return;
    clearTimeout(timer);
    timer = setTimeout(() => void load(), QUIET_MS);
  }

  const watchers = folders.map((folder): FSWatcher => {
    const watcher = watch(folder, { recursive: true }, (_event, name) => changed(name));
    return watcher.on('error', (error) => options.onError?.(error));
  });
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}
