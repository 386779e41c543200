import type { Family } from '../../net/index.ts';

/** The well-known port of BGP (RFC 4271 section 8.2.1). */
export const bgpPort = 179;
export const bgpVersion = 4;
/** RFC 4271 section 4.1. */
export const headerLength = 19;
export const maxMessageLength = 4096;
/** Stands in for an AS number over 65535 where only two octets fit (RFC 6793 section 9). */
export const asTrans = 23_456;

export const messageTypes = { open: 1, update: 2, notification: 3, keepalive: 4, 'route-refresh': 5 } as const;

/** Capability codes we speak (IANA "Capability Codes"). */
export const capabilityCodes = { multiprotocol: 1, routeRefresh: 2, gracefulRestart: 64, fourOctetAsn: 65 } as const;

/** Path attribute type codes (IANA "BGP Path Attributes"). */
export const attributeTypes = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPref: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  mpUnreach: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  largeCommunities: 32,
} as const;

/** Attribute flag bits (RFC 4271 section 4.3). */
export const attributeFlags = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const;

/** NOTIFICATION error codes (RFC 4271 section 4.5, RFC 7313, RFC 9687). */
export const errorCodes = { header: 1, open: 2, update: 3, holdTimer: 4, fsm: 5, cease: 6, routeRefresh: 7, sendHoldTimer: 8 } as const;

export const headerErrors = { notSynchronized: 1, badLength: 2, badType: 3 } as const;
export const openErrors = {
  unspecific: 0,
  unsupportedVersion: 1,
  badPeerAs: 2,
  badIdentifier: 3,
  unsupportedParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
} as const;
export const updateErrors = {
  malformedAttributeList: 1,
  unrecognizedWellKnown: 2,
  missingWellKnown: 3,
  attributeFlags: 4,
  attributeLength: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttribute: 9,
  invalidNetwork: 10,
  malformedAsPath: 11,
} as const;
/** RFC 6608. */
export const fsmErrors = { unspecified: 0, inOpenSent: 1, inOpenConfirm: 2, inEstablished: 3 } as const;
/** RFC 4486, RFC 8538 (hard reset). */
export const ceaseErrors = {
  maxPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  otherConfigurationChange: 6,
  collisionResolution: 7,
  outOfResources: 8,
  hardReset: 9,
} as const;

/** Well-known communities (RFC 1997). */
export const wellKnownCommunities = { noExport: 0xffff_ff01, noAdvertise: 0xffff_ff02, noExportSubconfed: 0xffff_ff03 } as const;

export const safiUnicast = 1;
/** Address Family Identifier of an IP version (RFC 4760). */
export const afiOf = (family: Family): 1 | 2 => (family === 4 ? 1 : 2);
/** The IP version of an AFI, undefined for any other family. */
export const familyOfAfi = (afi: number): Family | undefined => (afi === 1 ? 4 : afi === 2 ? 6 : undefined);
