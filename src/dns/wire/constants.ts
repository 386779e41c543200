// Numbers of RFC 1035 section 3.2, RFC 2782, RFC 3596 and RFC 6891, as far as the server names them.

export const recordTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

const typeNames: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries({ ...recordTypes, HINFO: 13, NAPTR: 35, DS: 43, RRSIG: 46, DNSKEY: 48, SVCB: 64, HTTPS: 65, CAA: 257 }).map(
    ([name, number]) => [number, name],
  ),
);

/** The mnemonic of a type, or `other`: a bounded set, fit for a metric's label. */
export const typeName = (type: number): string => typeNames[type] ?? 'other';

export const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

const rcodeNames: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(rcodes).map(([name, number]) => [number, name]));

/** The mnemonic of a response code, or its number. */
export const rcodeName = (rcode: number): string => rcodeNames[rcode] ?? String(rcode);

export const classes = { IN: 1, ANY: 255 } as const;

export const headerLength = 12;
/** RFC 1035 section 4.2.1: what a client takes over UDP that says nothing of EDNS. */
export const plainUdpSize = 512;
/** RFC 1035 section 4.2.2: the length prefix has two bytes. */
export const maxMessageSize = 65_535;

/** Bits of the header's second 16-bit word (RFC 1035 section 4.1.1, RFC 4035 section 3). */
export const flags = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 } as const;
