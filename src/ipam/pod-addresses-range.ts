import {
  type Address,
  addressFromValue,
  compareAddresses,
  type Family,
  lastAddress,
  nthAddress,
  type Prefix,
  prefixContains,
  prefixesOverlap,
  prefixSize,
  tryParseAddress,
  tryParsePrefix,
} from '../net/index.ts';

/** Addresses `start` to `end` of a subnet, its gateway excluded, are given to pods. */
export interface AddressRange {
  readonly subnet: Prefix;
  readonly start: Address;
  readonly end: Address;
  readonly gateway: Address;
}

/** Every pod gets one address out of each set; the ranges of a set are of one family and are used one after another. */
export type RangeSet = readonly AddressRange[];

/** A range as a CNI configuration writes it (host-local's form). */
export interface RangeConfig {
  readonly subnet: string;
  readonly rangeStart?: string | undefined;
  readonly rangeEnd?: string | undefined;
  readonly gateway?: string | undefined;
}

/** A range that cannot be used. `field` is its path below `ranges`, e.g. `[0][1].gateway`. */
export class InvalidRangeError extends Error {
  readonly field: string;
  constructor(field: string, message: string) {
    super(message);
    this.name = 'InvalidRangeError';
    this.field = field;
  }
}

/**
 * Range sets from their configuration. Defaults: gateway is the subnet's first address; the range is all of the subnet but the network
 * address, and for IPv4 the broadcast address.
 * @throws InvalidRangeError naming the field and the value: no CIDR, too small, outside the subnet, families mixed in a set, overlap.
 */
export function parseRangeSets(sets: readonly (readonly RangeConfig[])[]): RangeSet[] {
  const parsed = sets.map((set, i) => {
    if (set.length === 0) throw new InvalidRangeError(`[${i}]`, 'holds no range');
    return set.map((range, j) => parseRange(range, `[${i}][${j}]`));
  });
  for (const [i, set] of parsed.entries()) {
    const mixed = set.findIndex((range) => range.subnet.family !== set[0]!.subnet.family);
    if (mixed >= 0)
      throw new InvalidRangeError(
        `[${i}][${mixed}].subnet`,
        `${set[mixed]!.subnet.text} is of another family than ${set[0]!.subnet.text} in the same set`,
      );
  }
  const all = parsed.flatMap((set, i) => set.map((range, j) => ({ range, field: `[${i}][${j}]` })));
  for (const [index, { range, field }] of all.entries()) {
    const other = all.slice(0, index).find((before) => rangesOverlap(before.range, range));
    if (other) throw new InvalidRangeError(`${field}.subnet`, `${rangeText(range)} overlaps ${rangeText(other.range)} at ${other.field}`);
  }
  return parsed;
}

function parseRange(config: RangeConfig, field: string): AddressRange {
  const subnet = tryParsePrefix(config.subnet);
  if (!subnet) throw new InvalidRangeError(`${field}.subnet`, `${JSON.stringify(config.subnet)} is not a CIDR such as 10.244.1.0/24`);
  if (!tryParsePrefix(config.subnet, { strict: true })) {
    throw new InvalidRangeError(`${field}.subnet`, `${config.subnet} has host bits set; did you mean ${subnet.text}?`);
  }
  if (prefixSize(subnet) < 4n)
    throw new InvalidRangeError(`${field}.subnet`, `${subnet.text} is too small: it has no room for a gateway and a pod`);
  const inSubnet = (key: 'gateway' | 'rangeStart' | 'rangeEnd', fallback: Address): Address => {
    const text = config[key];
    if (text === undefined) return fallback;
    const address = tryParseAddress(text);
    if (!address) throw new InvalidRangeError(`${field}.${key}`, `${JSON.stringify(text)} is not an IP address`);
    if (!prefixContains(subnet, address)) throw new InvalidRangeError(`${field}.${key}`, `${text} is outside ${subnet.text}`);
    if (address.value === subnet.address.value)
      throw new InvalidRangeError(`${field}.${key}`, `${text} is the network address of ${subnet.text}`);
    return address;
  };
  const first = nthAddress(subnet, 1n);
  const last = lastAddress(subnet);
  const end = inSubnet('rangeEnd', subnet.family === 4 ? addressFromValue(4, last.value - 1n) : last);
  if (subnet.family === 4 && end.value === last.value)
    throw new InvalidRangeError(`${field}.rangeEnd`, `${end.text} is the broadcast address of ${subnet.text}`);
  const range = { subnet, start: inSubnet('rangeStart', first), end, gateway: inSubnet('gateway', first) };
  if (compareAddresses(range.start, range.end) > 0)
    throw new InvalidRangeError(`${field}.rangeStart`, `${range.start.text} is after rangeEnd ${range.end.text}`);
  if (range.start.value === range.end.value && range.start.value === range.gateway.value) {
    throw new InvalidRangeError(`${field}.gateway`, `${range.gateway.text} is the only address of the range`);
  }
  return range;
}

const rangesOverlap = (a: AddressRange, b: AddressRange): boolean =>
  prefixesOverlap(a.subnet, b.subnet) && a.start.value <= b.end.value && b.start.value <= a.end.value;

/** `10.244.1.1-10.244.1.254 of 10.244.1.0/24`. */
export const rangeText = ({ start, end, subnet }: AddressRange): string => `${start.text}-${end.text} of ${subnet.text}`;

export const familyOf = (set: RangeSet): Family => set[0]!.subnet.family;

/** The range of the set that the address may be taken from. */
export const rangeOf = (set: RangeSet, address: Address): AddressRange | undefined =>
  set.find(
    (range) =>
      address.family === range.start.family &&
      address.value >= range.start.value &&
      address.value <= range.end.value &&
      address.value !== range.gateway.value,
  );
