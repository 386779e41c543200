import { InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../objects/client.ts';
import { isPort, type Prefix, parsePrefix, tryParseAddress } from '../net/index.ts';

/*
 * How the commands read what stands after a flag. Each parser takes the text as typed and returns the value, or throws commander's
 * InvalidArgumentError saying what is expected; commander puts the flag's name before it, and the program ends with 2.
 */

/** A whole number of `least` to `most`, in decimal digits. `what` names it in the error, with its unit if it has one. */
export const wholeNumber =
  (least: number, most: number, what = 'a whole number') =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < least || value > most) throw new InvalidArgumentError(`Expected ${what}, ${least} to ${most}.`);
    return value;
  };

/** A port to be reached at: 1 to 65535. */
export function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || !isPort(Number(text))) throw new InvalidArgumentError('Expected a port, 1 to 65535.');
  return Number(text);
}

/** A port to listen on: as {@link port}, or 0, with which the kernel chooses a free one. */
export function listenPort(text: string): number {
  if (!/^0{1,5}$/.test(text) && !(/^\d{1,5}$/.test(text) && isPort(Number(text))))
    throw new InvalidArgumentError('Expected a port, 1 to 65535, or 0 for any free one.');
  return Number(text);
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where to listen: `127.0.0.1:10256`, `[::1]:10256` or `:10256` (loopback). Port 0 is any free one. */
export function hostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const number = Number(match?.[3]);
  if (!match || number > 65_535) throw new InvalidArgumentError('Expected HOST:PORT, such as 127.0.0.1:10256.');
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port: number };
}

/** An IP address, in canonical form. */
export function address(text: string): string {
  const parsed = tryParseAddress(text);
  if (!parsed) throw new InvalidArgumentError(`${JSON.stringify(text)} is not an IP address.`);
  return parsed.text;
}

/** A CIDR without host bits. */
export function cidr(text: string): Prefix {
  try {
    return parsePrefix(text, { strict: true });
  } catch (error) {
    throw new InvalidArgumentError((error as RangeError).message);
  }
}

/** Words with commas between; blanks around them and empty words do not count. */
export const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** One value or several with commas between, each read by `parse` without the blanks around it. */
export const listOf =
  <Value>(parse: (text: string) => Value) =>
  (text: string): Value[] =>
    text.split(',').map((part) => parse(part.trim()));

/** CIDRs with commas between, as canonical texts. */
export const cidrs = listOf((text) => cidr(text).text);

/**
 * For a flag that may be given several times: `parse` reads one occurrence, and the values are gathered in order. An array of values
 * counts as several.
 */
export const repeatable =
  <Value>(parse: (text: string) => Value | readonly Value[]) =>
  (text: string, before: readonly Value[] = []): Value[] =>
    before.concat(parse(text));

/** Takes the text of a flag as it is. */
export const anyText = (text: string): string => text;

/** One of some words. */
export const oneOf =
  <Word extends string>(...words: readonly [Word, Word, ...Word[]]) =>
  (text: string): Word => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new InvalidArgumentError(`Expected ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`);
    return found;
  };

/** A duration as Go writes it (`500ms`, `30s`, `1m30s`), in milliseconds; not below zero. */
export function duration(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined || milliseconds < 0) throw new InvalidArgumentError('Expected a duration such as 500ms, 30s or 1m30s.');
  return milliseconds;
}

/** An option whose value is a {@link duration}; `initial` is its default as it is to be shown. */
export const durationOption = (flags: string, description: string, initial: string): Option =>
  new Option(flags, description).argParser(duration).default(duration(initial), initial);

/** `true` or `false`. */
export const boolean = (text: string): boolean => oneOf('true', 'false')(text) === 'true';

/** A switch that also takes `=true` and `=false`, as those of Kubernetes' programs do. */
export const booleanOption = (flag: string, description: string, initial: boolean): Option =>
  new Option(`${flag} [boolean]`, description).argParser(boolean).preset('true').default(initial);
