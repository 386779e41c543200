import { capabilityCodes } from './constants.ts';
import { Reader } from './reader.ts';
import type { Capability } from './types.ts';
import { Writer } from './writer.ts';

/**
 * Reads the capabilities of one Capabilities parameter (RFC 5492 section 4). A capability whose value does not fit its kind is kept as unknown, since the
 * peer may be speaking a later revision; only the frame must hold.
 * @throws TruncatedError when a capability runs past the end.
 */
export function readCapabilities(reader: Reader): Capability[] {
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const value = reader.bytes(reader.u8());
    capabilities.push(readValue(code, value) ?? { type: 'unknown', code, value: value.slice() });
  }
  return capabilities;
}

function readValue(code: number, value: Uint8Array): Capability | undefined {
  const reader = new Reader(value);
  switch (code) {
    case capabilityCodes.multiprotocol: {
      if (value.length !== 4) return undefined;
      const afi = reader.u16();
      reader.u8();
      return { type: 'multiprotocol', afi, safi: reader.u8() };
    }
    case capabilityCodes.routeRefresh:
      return value.length === 0 ? { type: 'route-refresh' } : undefined;
    case capabilityCodes.fourOctetAsn:
      return value.length === 4 ? { type: 'four-octet-asn', asn: reader.u32() } : undefined;
    case capabilityCodes.gracefulRestart: {
      if (value.length < 2 || (value.length - 2) % 4 !== 0) return undefined;
      const head = reader.u16();
      const families = [];
      while (reader.remaining > 0) families.push({ afi: reader.u16(), safi: reader.u8(), forwarding: (reader.u8() & 0x80) !== 0 });
      return {
        type: 'graceful-restart',
        restarting: (head & 0x8000) !== 0,
        notification: (head & 0x4000) !== 0,
        restartTime: head & 0x0fff,
        families,
      };
    }
    default:
      return undefined;
  }
}

export function encodeCapability(capability: Capability): Uint8Array {
  const value = new Writer();
  switch (capability.type) {
    case 'multiprotocol':
      value.u16(capability.afi).u8(0).u8(capability.safi);
      return frame(capabilityCodes.multiprotocol, value);
    case 'route-refresh':
      return frame(capabilityCodes.routeRefresh, value);
    case 'four-octet-asn':
      return frame(capabilityCodes.fourOctetAsn, value.u32(capability.asn));
    case 'graceful-restart':
      value.u16((capability.restarting ? 0x8000 : 0) | (capability.notification ? 0x4000 : 0) | (capability.restartTime & 0x0fff));
      for (const { afi, safi, forwarding } of capability.families)
        value
          .u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0);
      return frame(capabilityCodes.gracefulRestart, value);
    case 'unknown':
      return frame(capability.code, value.bytes(capability.value));
  }
}

const frame = (code: number, value: Writer): Uint8Array => new Writer().u8(code).u8(value.length).bytes(value.finish()).finish();
