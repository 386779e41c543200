import { linkAddressText, type LinkOperation, type LinkOutcome, type LinkState } from '../../dataplane/links.ts';
import type { PipedParts } from '../piped-process.ts';
import { createBatchChannel } from './batch-channel.ts';
import { createLinkDeletions } from './link-deletions.ts';
import { type LinkEvent, type LinkMonitor, startLinkMonitor } from './link-monitor.ts';
import { createNetlink, type Netlink } from './netlink.ts';
import { fewestLines, operationLines } from './operation-lines.ts';
import { createQueryChannel } from './query-channel.ts';

/** Netlink of the network namespace of this process, for one who calls often. Has processes of its own: `close` ends them. */
export interface PersistentNetlink extends Netlink {
  close(): void;
}

/**
 * Netlink over an `ip` that stays (see batch-channel.ts) and an `ip monitor`:
 *
 * - What was asked of a lasting link (a bridge and its addresses) and done is not asked again until the monitor tells of a loss.
 * - Reading is done by a third `ip` that stays.
 * - A deletion is over when the monitor tells that the link is gone: the kernel acknowledges it some 15 ms later.
 * - When anything is refused, the whole list is done once more by a single `ip` of its own, and that answer is the one that counts: so a
 *   failure reads the same whoever asked, and an index that the running `ip` remembers wrongly does no harm.
 *
 * `shown` of a list that went well holds only links that it has to ensure (bridges), not those made by it.
 */
export async function startPersistentNetlink(parts: PipedParts): Promise<PersistentNetlink> {
  const single = createNetlink(parts.runner);
  const queries = createQueryChannel(parts);
  const reader = createNetlink(queries);
  const channel = createBatchChannel(parts);
  const deletions = createLinkDeletions(createBatchChannel(parts));
  const lasting = createLastingLinks();
  /** Names that the running `ip` may know from links that are gone. */
  const former = new Set<string>();
  /** As `former`, for the one that reads. */
  const stale = new Set<string>();
  const learning = new Map<string, Promise<unknown>>();
  const settle = (event: LinkEvent): void => {
    if (event.of === 'link' && event.deleted) {
      former.add(event.name);
      if (stale.size >= mostFormer) {
        stale.clear();
        queries.restart();
      }
      stale.add(event.name);
      deletions.gone(event.name);
    }
    if (lasting.observe(event)) channel.restart();
  };
  let monitor: LinkMonitor | undefined;
  let watching: Promise<void> | undefined;
  let closed = false;
  const watch = (): Promise<void> => (watching ??= startWatching().finally(() => (watching = undefined)));
  async function startWatching(): Promise<void> {
    try {
      monitor = await startLinkMonitor(parts, settle, () => {
        // Nothing is known any more of what happened since.
        monitor = undefined;
        lasting.forget();
        deletions.unwatched();
      });
      deletions.watched();
    } catch {
      // It works without, only slower; the next call tries again.
    }
  }
  await watch();

  async function applyFast(operations: readonly LinkOperation[], show: readonly string[]): Promise<LinkOutcome | undefined> {
    const wanted = operations.filter((operation) => !lasting.has(operation));
    const ensured = new Set(operations.flatMap((operation) => (operation.op === 'ensure-bridge' ? [operation.name] : [])));
    if ([...ensured].some((name) => !lasting.link(name))) return undefined;
    const removals = wanted.flatMap((operation) => (operation.op === 'delete-link' ? [operation.name] : []));
    // Order matters between a deletion and what makes the link anew; that is rare and left to the single `ip`.
    if (removals.length > 0 && wanted.some(({ op }) => op !== 'delete-link' && op !== 'forget-neighbour')) return undefined;
    const lines = fewestLines(wanted.filter(({ op }) => op !== 'delete-link'));
    if (former.size > mostFormer || wanted.some((operation) => former.has(nameIn(operation)))) {
      former.clear();
      channel.restart();
    }
    const [refused, failures] = await Promise.all([
      Promise.all(removals.map((name) => deletions.remove(name))).then((done) => done.includes(false)),
      lines.length === 0 ? [] : channel.run(lines),
    ]);
    if (refused || failures.length > 0) {
      if (failures.some(({ detail }) => /no such device|cannot find device/i.test(detail))) channel.restart();
      return undefined;
    }
    const links = show.flatMap((name) => {
      const link = lasting.link(name);
      return link ? [[name, link] as const] : [];
    });
    return { failures: [], tolerated: [], shown: { links: new Map(links), routes: [] } };
  }

  return {
    async apply(operations, show = []) {
      if (!monitor && !closed) await watch();
      const bridge = operations.find(({ op }) => op === 'ensure-bridge');
      const name = bridge?.op === 'ensure-bridge' ? bridge.name : '';
      // Of many who meet a bridge that is not known, one makes its acquaintance.
      await learning.get(name);
      const fast = await applyFast(operations, show).catch(() => undefined);
      if (fast) return fast;
      if (name === '' || lasting.link(name) || learning.has(name)) return applySingle(operations, show);
      const learnt = applySingle(operations, show);
      learning.set(
        name,
        learnt.catch(() => undefined),
      );
      return learnt.finally(() => learning.delete(name));
    },
    read(links) {
      for (const name of links.filter((link) => stale.has(link))) {
        stale.delete(name);
        queries.restart();
      }
      return reader.read(links);
    },
    readPorts: (bridge) => reader.readPorts(bridge),
    close() {
      closed = true;
      queries.close();
      channel.close();
      deletions.close();
      monitor?.close();
    },
  };

  async function applySingle(operations: readonly LinkOperation[], show: readonly string[]): Promise<LinkOutcome> {
    const before = lasting.losses();
    const outcome = await single.apply(operations, show);
    // A loss that the monitor told of meanwhile may be younger than the answer.
    if (monitor && outcome.failures.length === 0 && before === lasting.losses()) lasting.remember(operations, outcome.shown.links);
    return outcome;
  }
}

/** So many names of links that are gone are remembered, and then forgotten together with the `ip` that knows them. */
const mostFormer = 10_000;

/** The link that an operation is about; empty for none of the kinds that make or change one. */
const nameIn = (operation: LinkOperation): string => ('name' in operation ? operation.name : 'device' in operation ? operation.device : '');

/** What is known of bridges: how they are, and what was done to them. */
function createLastingLinks() {
  const links = new Map<string, LinkState>();
  const done = new Map<string, Set<string>>();
  let losses = 0;
  const deviceOf = (operation: LinkOperation): string | undefined => {
    if (operation.op === 'ensure-bridge' || operation.op === 'set-link') return operation.name;
    return operation.op === 'ensure-address' ? operation.device : undefined;
  };
  const lose = (name: string): boolean => {
    losses++;
    links.delete(name);
    return done.delete(name);
  };
  return {
    link: (name: string): LinkState | undefined => links.get(name),
    losses: (): number => losses,
    has(operation: LinkOperation): boolean {
      const device = deviceOf(operation);
      return device !== undefined && done.get(device)?.has(operationLines(operation).join('\n')) === true;
    },
    remember(operations: readonly LinkOperation[], shown: ReadonlyMap<string, LinkState>): void {
      for (const name of operations.flatMap((operation) => (operation.op === 'ensure-bridge' ? [operation.name] : []))) {
        const link = shown.get(name);
        if (link?.kind !== 'bridge' || !link.up) continue;
        links.set(name, link);
        const lines = operations
          .filter((operation) => deviceOf(operation) === name)
          .map((operation) => operationLines(operation).join('\n'));
        done.set(name, new Set([...(done.get(name) ?? []), ...lines]));
      }
    },
    /** Forgets what the event makes doubtful. True when something was forgotten. */
    observe(event: LinkEvent): boolean {
      const known = links.get(event.name);
      if (!known || (event.of === 'address' ? sameAddresses(known, event) : sameLink(known, event))) return false;
      return lose(event.name);
    },
    forget(): void {
      for (const name of [...links.keys()]) lose(name);
    },
  };
}

const sameLink = (known: LinkState, { deleted, up, mac }: LinkEvent): boolean =>
  !deleted && up !== false && (mac === undefined || mac === known.mac);

/** The kernel gives links their link-local addresses by itself. */
const sameAddresses = ({ addresses }: LinkState, { deleted, address = '' }: LinkEvent): boolean =>
  address.startsWith('fe80:') || (!deleted && addresses.some((had) => linkAddressText(had) === address));
