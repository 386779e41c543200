import { type LinkAddress, type LinkOperation, linkAddressText } from '../dataplane/links.ts';
import { listReservations, type ReservationStore } from '../ipam/index.ts';
import { prefixContains, prefixOf } from '../net/index.ts';
import { readConflist } from './inspect.ts';
import type { LinkPort } from './ports.ts';

/** Gateway addresses of the bridge for a configuration; a text that is none has no ranges. */
function gatewaysOf(text: string | undefined): LinkAddress[] {
  if (text === undefined) return [];
  try {
    const { options } = readConflist(text);
    return options.isGateway ? options.ipam.ranges.flat().map(({ gateway, subnet }) => ({ address: gateway, length: subnet.length })) : [];
  } catch {
    return [];
  }
}

export interface FormerRangesParts {
  readonly bridge: string;
  readonly host: Pick<LinkPort, 'apply'>;
  readonly store: ReservationStore;
}

/** Takes gateway addresses of former ranges off the bridge: with one, the node would think that the subnet, by now another node's, is its own. */
export interface FormerRanges {
  /** One network configuration takes the place of another; undefined for none. */
  change(before: string | undefined, after: string | undefined): void;
  /** Removes what no configuration has and no pod needs any more. Returns what was removed. @throws what the host's links throw */
  work(): Promise<readonly LinkAddress[]>;
}

export function openFormerRanges({ bridge, host, store }: FormerRangesParts): FormerRanges {
  let retired: readonly LinkAddress[] = [];
  return {
    change(before, after) {
      const current = new Set(gatewaysOf(after).map(linkAddressText));
      retired = [...retired, ...gatewaysOf(before)].filter((gateway) => !current.has(linkAddressText(gateway)));
    },
    async work() {
      if (retired.length === 0) return [];
      const held = listReservations(store).reservations.flatMap(({ addresses }) => addresses);
      const isUsed = ({ address, length }: LinkAddress): boolean => held.some((pod) => prefixContains(prefixOf(address, length), pod));
      const unused = retired.filter((gateway) => !isUsed(gateway));
      if (unused.length === 0) return [];
      await host.apply(unused.map((address): LinkOperation => ({ op: 'delete-address', device: bridge, address })));
      retired = retired.filter((gateway) => !unused.includes(gateway));
      return unused;
    },
  };
}
