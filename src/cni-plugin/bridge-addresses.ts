import { type LinkAddress, linkAddressText } from '../dataplane/links.ts';
import { prefixOf, prefixesOverlap } from '../net/index.ts';

/**
 * Addresses of a bridge that contradict the gateway addresses it is to have: another one of an overlapping subnet, so that the node would
 * answer for an address of the pods, or send from it.
 */
export function addressesInTheWay(actual: readonly LinkAddress[], gateways: readonly LinkAddress[]): LinkAddress[] {
  const wanted = new Set(gateways.map(linkAddressText));
  return actual.filter(
    (address) =>
      !wanted.has(linkAddressText(address)) &&
      gateways.some(
        (gateway) =>
          gateway.address.family === address.address.family &&
          prefixesOverlap(prefixOf(gateway.address, gateway.length), prefixOf(address.address, address.length)),
      ),
  );
}
