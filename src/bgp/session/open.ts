import { type Family } from '../../net/index.ts';
import { encodeCapability } from '../wire/capabilities.ts';
import { afiOf, asTrans, bgpVersion, errorCodes, familyOfAfi, openErrors, safiUnicast } from '../wire/constants.ts';
import { BgpMessageError } from '../wire/error.ts';
import type { Capability, OpenMessage } from '../wire/types.ts';
import { u16Bytes } from '../wire/writer.ts';
import type { NegotiatedSession, SessionConfig } from './types.ts';

/** The OPEN that the configuration asks for. */
export function buildOpen({ localAsn, holdTime, routerId, families, gracefulRestart }: SessionConfig): OpenMessage {
  const { restarting, forwarding, restartTime } = gracefulRestart;
  const capabilities: Capability[] = [
    ...families.map((family): Capability => ({ type: 'multiprotocol', afi: afiOf(family), safi: safiUnicast })),
    { type: 'route-refresh' },
    { type: 'four-octet-asn', asn: localAsn },
  ];
  if (restartTime > 0) {
    capabilities.push({
      type: 'graceful-restart',
      restarting,
      notification: false,
      restartTime,
      families: families.map((family) => ({ afi: afiOf(family), safi: safiUnicast, forwarding })),
    });
  }
  return { type: 'open', version: bgpVersion, asn: localAsn > 0xffff ? asTrans : localAsn, holdTime, routerId, capabilities };
}

/**
 * Checks the peer's OPEN against the configuration (RFC 4271 section 6.2) and works out what the session will be.
 * @throws BgpMessageError 2/x with the answer to give.
 */
export function negotiate(open: OpenMessage, config: SessionConfig): NegotiatedSession {
  const refuse = (subcode: number, reason: string, data?: Uint8Array): never => {
    throw new BgpMessageError(errorCodes.open, subcode, `OPEN: ${reason}`, data);
  };
  if (open.version !== bgpVersion) refuse(openErrors.unsupportedVersion, `version ${open.version} is not supported`, u16Bytes(bgpVersion));
  const asn = open.capabilities.find((capability) => capability.type === 'four-octet-asn')?.asn;
  const peerAsn = asn ?? open.asn;
  if (peerAsn !== config.peerAsn) refuse(openErrors.badPeerAs, `the peer's AS is ${peerAsn}, expected ${config.peerAsn}`);
  const internal = peerAsn === config.localAsn;
  // RFC 6286: any identifier but 0; inside an AS, not our own.
  if (open.routerId.value === 0n) refuse(openErrors.badIdentifier, 'the BGP identifier is 0');
  if (internal && open.routerId.value === config.routerId.value)
    refuse(openErrors.badIdentifier, `the BGP identifier ${open.routerId.text} is our own`);
  if (open.holdTime === 1 || open.holdTime === 2) refuse(openErrors.unacceptableHoldTime, `hold time ${open.holdTime} s is below 3 s`);
  const families = commonFamilies(open, config);
  if (families.length === 0) refuse(openErrors.unsupportedCapability, 'no address family in common', wantedFamilies(config));
  const gracefulRestart = open.capabilities.find((capability) => capability.type === 'graceful-restart');
  return {
    holdTime: Math.min(open.holdTime, config.holdTime),
    peerAsn,
    peerRouterId: open.routerId,
    internal,
    families,
    fourOctetAsn: asn !== undefined,
    routeRefresh: open.capabilities.some(({ type }) => type === 'route-refresh'),
    ...(gracefulRestart ? { gracefulRestart } : {}),
  };
}

/** A peer without the multiprotocol capability speaks IPv4 unicast only (RFC 4760 section 8). */
function commonFamilies(open: OpenMessage, config: SessionConfig): Family[] {
  const offered = open.capabilities.flatMap((capability) =>
    capability.type === 'multiprotocol' && capability.safi === safiUnicast ? (familyOfAfi(capability.afi) ?? []) : [],
  );
  const theirs = open.capabilities.some(({ type }) => type === 'multiprotocol') ? offered : [4 as const];
  return config.families.filter((family) => theirs.includes(family));
}

/** The capabilities that we miss, as RFC 5492 section 5 wants them in the NOTIFICATION. */
function wantedFamilies({ families }: SessionConfig): Uint8Array {
  return Uint8Array.from(
    families.flatMap((family) => [...encodeCapability({ type: 'multiprotocol', afi: afiOf(family), safi: safiUnicast })]),
  );
}
