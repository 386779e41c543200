import { InvalidRangeError, parseRangeSets, type RangeConfig, type RangeSet } from '../ipam/index.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { asObject, type Fields, invalid, listField, textField } from './fields.ts';

/** A list of range sets as the configuration writes it. @throws CniError 7 for a wrong type */
export function parseRangeConfigs(fields: Fields, key: string, path: string): RangeConfig[][] {
  return listField(fields, key, path, 16).map((set, index) => {
    if (!Array.isArray(set)) throw invalid(`${path}[${index}]`, set, 'is not a list of ranges');
    if (set.length > 256) throw invalid(`${path}[${index}]`, set.length, 'ranges are more than 256');
    return set.map((range, place) => rangeConfig(asObject(range, `${path}[${index}][${place}]`), `${path}[${index}][${place}]`));
  });
}

/** One range, out of its object or out of the ipam object itself (host-local's older form). @throws CniError 7 */
export function rangeConfig(range: Fields, path: string): RangeConfig {
  const subnet = textField(range, 'subnet', `${path}.subnet`);
  if (subnet === undefined) throw new CniError(cniErrorCodes.invalidConfig, `${path}.subnet: missing`);
  return {
    subnet,
    rangeStart: textField(range, 'rangeStart', `${path}.rangeStart`),
    rangeEnd: textField(range, 'rangeEnd', `${path}.rangeEnd`),
    gateway: textField(range, 'gateway', `${path}.gateway`),
  };
}

/** Ranges that were parsed, by their text: an agent reads those of its few networks again and again. */
const parsed = new Map<string, readonly RangeSet[]>();

const mostParsed = 64;

/** @throws CniError 7, naming the range and what is wrong with it */
export function parseRanges(sets: readonly (readonly RangeConfig[])[]): readonly RangeSet[] {
  const text = JSON.stringify(sets);
  const known = parsed.get(text);
  if (known) return known;
  try {
    const ranges = parseRangeSets(sets);
    if (parsed.size >= mostParsed) parsed.clear();
    parsed.set(text, ranges);
    return ranges;
  } catch (error) {
    if (error instanceof InvalidRangeError) throw new CniError(cniErrorCodes.invalidConfig, `ipam.ranges${error.field}: ${error.message}`);
    throw error;
  }
}
