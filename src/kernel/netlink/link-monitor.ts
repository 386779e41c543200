import { splitLines } from '../../runtime/split-lines.ts';
import { type PipedParts, startPiped } from '../piped-process.ts';

/** A link or one of its addresses has changed or gone. */
export interface LinkEvent {
  readonly name: string;
  readonly of: 'link' | 'address';
  readonly deleted: boolean;
  /** Links only: administratively up, and the MAC if it has one. */
  readonly up?: boolean;
  readonly mac?: string;
  /** Addresses only: `10.244.1.1/24`. */
  readonly address?: string;
}

/** Tells of every change of a link or address in the network namespace of this process. `onEnd` is called once, also after `close`. */
export interface LinkMonitor {
  close(): void;
}

/**
 * `ip monitor` notices the end of its reader only when it has something to say, so a shell that ends with its standard input ends it: also
 * after a kill -9 of this process.
 */
const watched = 'ip -oneline monitor link address & read -r _; kill "$!"';

/** Bytes; an event is a few hundred. */
const maxLine = 64 * 1024;

/** Rejects when it cannot be started. */
export async function startLinkMonitor(parts: PipedParts, onEvent: (event: LinkEvent) => void, onEnd: () => void): Promise<LinkMonitor> {
  const monitor = await startPiped(['sh', '-c', watched], parts);
  monitor.stderr.resume();
  void (async () => {
    for await (const line of splitLines(monitor.stdout, maxLine)) {
      const event = parseLinkEvent(line);
      if (event) onEvent(event);
    }
  })()
    .catch(() => undefined)
    .finally(onEnd);
  return { close: () => monitor.stdin.end() };
}

/** A line of `ip -oneline monitor link address`; undefined for what is neither. */
export function parseLinkEvent(line: string): LinkEvent | undefined {
  // `Deleted 7: veth1@if2: <BROADCAST> ...` is a link, `7: br0    inet 10.0.0.1/24 ...` an address.
  const match = /^(Deleted )?\d+: ([^\s:@]+)([:@]|\s)/.exec(line);
  if (!match) return undefined;
  const [, gone, name, separator] = match as unknown as [string, string | undefined, string, string];
  const deleted = gone !== undefined;
  if (separator !== ':' && separator !== '@') {
    const address = / inet6? ([0-9a-f:./]+)/.exec(line)?.[1];
    return { name, of: 'address', deleted, ...(address === undefined ? {} : { address }) };
  }
  const flags = /<([A-Z0-9_,-]*)>/.exec(line)?.[1]?.split(',') ?? [];
  const mac = /link\/ether ([0-9a-f:]{17})/.exec(line)?.[1];
  return { name, of: 'link', deleted, up: flags.includes('UP'), ...(mac === undefined ? {} : { mac }) };
}
