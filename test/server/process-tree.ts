import { readdir, readFile } from 'node:fs/promises';

/** All processes below one, whatever their groups; the process itself is not among them. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (const open = [pid]; open.length > 0; ) {
    const below = children.get(open.pop() ?? 0) ?? [];
    found.push(...below);
    open.push(...below);
  }
  return found;
}

/** Those that still run; a zombie has ended. */
export async function alive(pids: readonly number[]): Promise<number[]> {
  const running = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const state = text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3);
      return state !== '' && state !== 'Z';
    }),
  );
  return pids.filter((_, index) => running[index]);
}

/** Command line of a process. */
export async function commandOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.replaceAll('\0', ' ').trim();
}
