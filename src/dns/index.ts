export { createResponder, type DnsTransport, type Outcome, type Responder } from './answer.ts';
export { countZone, createZoneCompiler, type ZoneOptions } from './compile.ts';
export { DnsError, type DnsErrorCode } from './errors.ts';
export type { DnsInput } from './input.ts';
export { type DnsOptions, dnsOptions, dnsOptionsSchema, nameserversOf, parseUpstream, type Upstream } from './options.ts';
export type { DnsReport } from './report.ts';
export { encodeQuery, nameFromText, nameToText, readMessage, recordTypes } from './wire/index.ts';
export { type Lookup, lookUp, type ServiceZone, type Zone } from './zone.ts';
