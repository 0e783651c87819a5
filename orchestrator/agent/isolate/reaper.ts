/**
 * Ends process groups when this process is gone, however it went. A worker whose code blocks cannot see its channel
 * close; so a shell of about a megabyte holds the list of groups, and ends them once its own input does.
 */
import { type ChildProcess, spawn } from 'node:child_process';

const SCRIPT = `trap '' HUP INT TERM
list=
while read -r line; do list=$line; done
left=$1
while [ "$left" -gt 0 ]; do
  alive=
  for pid in $list; do kill -0 "-$pid" 2>/dev/null && alive=1; done
  [ -z "$alive" ] && exit 0
  sleep 1
  left=$((left - 1))
done
for pid in $list; do kill -KILL "-$pid" 2>/dev/null; done
exit 0`;

/** A shell that lives for less cannot be had. */
const LEAST_LIFE_MS = 1_000;

export class Reaper {
  readonly #graceSeconds: number;
  readonly #groups = new Set<number>();
  #shell: ChildProcess | null = null;
  #ended = false;

  /** @param graceSeconds how long the groups may take to end by themselves */
  constructor(graceSeconds = 0) {
    this.#graceSeconds = graceSeconds;
  }

  add(pid: number): void {
    this.#groups.add(pid);
    this.#tell();
  }

  remove(pid: number): void {
    if (this.#groups.delete(pid)) this.#tell();
  }

  /** Ends the shell, and nothing else. */
  close(): void {
    this.#ended = true;
    this.#shell?.stdin?.end('\n');
  }

  #tell(): void {
    if (process.platform === 'win32' || this.#ended) return;
    this.#shell ??= this.#start();
    this.#shell.stdin?.write(`${[...this.#groups].join(' ')}\n`);
  }

  #start(): ChildProcess {
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'signalbox', String(this.#graceSeconds)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const startedAt = performance.now();
    const lost = () => {
      this.#shell = null;
      const lived = performance.now() - startedAt > LEAST_LIFE_MS;
      if (lived && this.#groups.size > 0) this.#tell();
    };
    shell.on('error', lost);
    shell.on('exit', lost);
    shell.stdin?.on('error', () => undefined);
    shell.unref();
    (shell.stdin as { unref?(): void } | null)?.unref?.();
    return shell;
  }
}
