import { tryParseAddress } from './address.ts';
import { parsePrefix, prefixContains } from './prefix.ts';

const prefixes = [parsePrefix('127.0.0.0/8'), parsePrefix('::1/128')];

/** Whether the text is an address that leads back to this machine alone. */
export function isLoopback(text: string): boolean {
  const address = tryParseAddress(text);
  return address !== undefined && prefixes.some((prefix) => prefixContains(prefix, address));
}
