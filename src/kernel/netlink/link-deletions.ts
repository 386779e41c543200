import type { BatchChannel } from './batch-channel.ts';

/**
 * Deletes links over a channel of its own, which the kernel holds up for 15 ms at each deletion. What is asked for meanwhile is put into one
 * link group and deleted by one operation, which takes hardly longer than a single one.
 */
export interface LinkDeletions {
  /** True as soon as the link is gone; false when it was not there, or could not be deleted, or it is not known. */
  remove(name: string): Promise<boolean>;
  /** The kernel has told that the link is gone. */
  gone(name: string): void;
  /** Will `gone` be called? Until then and from then on the acknowledgement is waited for. */
  watched(): void;
  unwatched(): void;
  close(): void;
}

/** ip-link(8), "group": nobody else's, we hope; links are in it for the moment before they are deleted. */
const doomed = 1_885_890_151;

/** The kernel deletes faster the more are deleted at once, but nobody should wait long for the first. */
const mostAtOnce = 64;

const mostFormer = 10_000;

export function createLinkDeletions(channel: BatchChannel): LinkDeletions {
  const waiting = new Map<string, ((gone: boolean) => void)[]>();
  let queue: string[] = [];
  let busy = false;
  let trusted = false;
  /** Names whose former index the running `ip` may know. */
  const former = new Set<string>();
  const settle = (name: string, gone: boolean): void => {
    const waiters = waiting.get(name) ?? [];
    waiting.delete(name);
    for (const resolve of waiters) resolve(gone);
  };

  async function work(): Promise<void> {
    busy = true;
    while (queue.length > 0) {
      const names = queue.slice(0, mostAtOnce);
      queue = queue.slice(mostAtOnce);
      const failed = await deleteAll(names);
      for (const name of names) settle(name, !failed.has(name));
    }
    busy = false;
  }

  /** Returns those that could not be deleted. */
  async function deleteAll(names: readonly string[]): Promise<ReadonlySet<string>> {
    const [only] = names;
    if (former.size > mostFormer || names.some((name) => former.has(name))) {
      former.clear();
      channel.restart();
    }
    for (const name of names) former.add(name);
    const lines =
      names.length === 1
        ? [`link delete dev ${only}`]
        : [...names.map((name) => `link set dev ${name} group ${doomed}`), `link delete group ${doomed}`];
    try {
      const failures = await channel.run(lines);
      // It may remember an index of the name from before.
      if (failures.length > 0) {
        former.clear();
        channel.restart();
      }
      return new Set(failures.some(({ index }) => index >= names.length) ? names : failures.map(({ index }) => names[index]!));
    } catch {
      return new Set(names);
    }
  }

  return {
    remove: (name) =>
      new Promise((resolve) => {
        // Anything else would need quotes, and no link that is made here has such a name.
        if (!/^[\w.+-]+$/.test(name)) return resolve(false);
        const waiters = waiting.get(name);
        if (waiters) return void waiters.push(resolve);
        waiting.set(name, [resolve]);
        queue.push(name);
        if (!busy) void work();
      }),
    gone: (name) => {
      if (trusted) settle(name, true);
    },
    watched: () => void (trusted = true),
    unwatched: () => void (trusted = false),
    close: () => channel.close(),
  };
}
