import { createHash } from 'node:crypto';
import { addressKey, intervalKey, type NftSet, type NftVerdict } from '../../dataplane/nft.ts';
import type { Family } from '../../net/index.ts';
import type { PodEndpoint } from '../input.ts';
import type { Peer, PortMatch } from '../model.ts';
import { inRanges } from '../ranges.ts';

/** Twelve hexadecimal digits that stand for the text in names. */
export const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** The sets of a table in the making. Equal selections share a set. */
export class PolicySets {
  readonly made = new Map<string, NftSet>();

  readonly #verdicts = new Map<string, Map<string, NftVerdict>>();

  addMap(name: string, family: Family): Map<string, NftVerdict> {
    const known = this.#verdicts.get(name);
    if (known) return known;
    const elements = new Map<string, NftVerdict>();
    this.#verdicts.set(name, elements);
    this.made.set(name, { key: [addressKey(family)], interval: false, verdicts: true, elements });
    return elements;
  }

  addVerdict(name: string, family: Family, address: string, verdict: NftVerdict): void {
    const elements = this.addMap(name, family);
    // Two pods can show the same address for a moment, when one has ended and its object has not: the first by name has it.
    if (!elements.has(address)) elements.set(address, verdict);
  }

  /** The set of the peer's addresses in the family; undefined when it can have none. */
  peer(peer: Peer, family: Family): string | undefined {
    const key = [addressKey(family)];
    if (peer.kind === 'block') {
      if (peer.family !== family || peer.ranges.length === 0) return undefined;
      const elements = new Map(peer.ranges.map(({ first, last }) => [intervalKey(family, first, last), undefined]));
      return this.#add(`block-${hash(peer.key)}-${family}`, { key, interval: true, verdicts: false, elements });
    }
    const addresses = peer.pods.flatMap((pod) => pod.addresses.flatMap((address) => (address.family === family ? [address.text] : [])));
    return this.#add(`pods-${hash(peer.key)}-${family}`, {
      key,
      interval: false,
      verdicts: false,
      elements: new Map(addresses.map((address) => [address, undefined])),
    });
  }

  /** The set of address and number of the port that each candidate calls by the name; undefined when none does. */
  namedPort(
    of: string,
    port: PortMatch & { kind: 'name' },
    candidates: readonly PodEndpoint[],
    within: Peer | undefined,
    family: Family,
  ): string | undefined {
    const elements = new Map<string, undefined>();
    for (const { addresses, ports } of candidates) {
      for (const address of addresses) {
        if (address.family !== family) continue;
        if (within?.kind === 'block' && (within.family !== family || !inRanges(within.ranges, address))) continue;
        for (const each of ports)
          if (each.name === port.name && each.protocol === port.protocol) elements.set(`${address.text} . ${each.port}`, undefined);
      }
    }
    if (elements.size === 0) return undefined;
    return this.#add(`ports-${hash(of)}-${family}`, {
      key: [addressKey(family), 'inet_service'],
      interval: false,
      verdicts: false,
      elements,
    });
  }

  #add(name: string, set: NftSet): string {
    if (!this.made.has(name)) this.made.set(name, set);
    return name;
  }
}
