import type { RangeConfig } from '../ipam/index.ts';
import { type Address, tryParseAddress } from '../net/index.ts';
import { badVariable, type CniArgs } from './cni-args.ts';
import { defined, type Fields, invalid, listField, objectField, textField, textListField } from './fields.ts';
import type { Dns } from './dns-options.ts';
import { parseRangeConfigs } from './ranges-field.ts';

/** A wish of the runtime, and where it was found, to be named in an error. */
export interface Wish<T> {
  readonly value: T;
  readonly from: string;
}

/** What the runtime asks for one attachment by capabilities (`runtimeConfig`), `args.cni` and CNI_ARGS. */
export interface RuntimeOptions {
  /** Lower case with colons. */
  readonly mac?: string;
  /** Fixed addresses. */
  readonly ips: readonly Wish<Address>[];
  /** Sets that come before those of the configuration. */
  readonly ipRanges: readonly (readonly RangeConfig[])[];
  readonly dns: Dns;
}

/**
 * Of several places the strongest counts: `runtimeConfig`, then `args.cni`, then CNI_ARGS, then (for `mac`) the configuration itself.
 * `aliases`, `cgroupPath` and `infinibandGUID` are taken and change nothing here.
 * @throws CniError 7 or 4, naming the key or the variable
 */
export function parseRuntimeOptions(fields: Fields, args: CniArgs): RuntimeOptions {
  const runtime = objectField(fields, 'runtimeConfig') ?? {};
  const own = objectField(objectField(fields, 'args') ?? {}, 'cni', 'args.cni') ?? {};
  checkAccepted(runtime);
  const mac =
    macField(runtime, 'mac', 'runtimeConfig.mac') ??
    macField(own, 'mac', 'args.cni.mac') ??
    macOfArgs(args) ??
    macField(fields, 'mac', 'mac');
  const ips = [addressList(runtime, 'runtimeConfig.ips'), addressList(own, 'args.cni.ips'), ipsOfArgs(args)].find(
    ({ length }) => length > 0,
  );
  return {
    ...(mac === undefined ? {} : { mac }),
    ips: ips ?? [],
    ipRanges: parseRangeConfigs(runtime, 'ipRanges', 'runtimeConfig.ipRanges'),
    dns: runtimeDns(objectField(runtime, 'dns', 'runtimeConfig.dns') ?? {}),
  };
}

/** Capabilities that others serve: only their types are looked at. */
function checkAccepted(runtime: Fields): void {
  const { aliases } = runtime;
  if (aliases !== undefined && aliases !== null && typeof aliases !== 'object')
    throw invalid('runtimeConfig.aliases', aliases, 'is neither a list nor an object');
  textField(runtime, 'cgroupPath', 'runtimeConfig.cgroupPath');
}

/** The capability `dns` has names of its own (CNI conventions): servers, searches, options. */
function runtimeDns(dns: Fields): Dns {
  return defined({
    nameservers: nonEmpty(textListField(dns, 'servers', 'runtimeConfig.dns.servers')),
    search: nonEmpty(textListField(dns, 'searches', 'runtimeConfig.dns.searches')),
    options: nonEmpty(textListField(dns, 'options', 'runtimeConfig.dns.options')),
  });
}

const nonEmpty = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);

function addressList(fields: Fields, path: string): Wish<Address>[] {
  return listField(fields, 'ips', path, 16).map((value, index) => {
    const from = `${path}[${index}]`;
    if (typeof value !== 'string') throw invalid(from, value, 'is not a string');
    const address = withoutLength(value);
    if (!address) throw invalid(from, value, 'is not an IP address, with or without a prefix length');
    return { value: address, from };
  });
}

function ipsOfArgs(args: CniArgs): Wish<Address>[] {
  const text = args.get('IP') ?? '';
  return text
    .split(',')
    .filter(Boolean)
    .map((value) => {
      const address = withoutLength(value);
      if (!address) throw badVariable('CNI_ARGS', `IP=${text}`, 'holds no IP address');
      return { value: address, from: 'CNI_ARGS IP' };
    });
}

/** The length that counts is that of the range's subnet. */
function withoutLength(text: string): Address | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match ? tryParseAddress(match[1]!) : undefined;
  return address && Number(match?.[2] ?? 0) <= (address.family === 4 ? 32 : 128) ? address : undefined;
}

function macField(fields: Fields, key: string, path: string): string | undefined {
  const text = textField(fields, key, path);
  if (text === undefined) return undefined;
  const problem = macProblem(text);
  if (problem) throw invalid(path, text, problem);
  return normalMac(text);
}

function macOfArgs(args: CniArgs): string | undefined {
  const text = args.get('MAC');
  if (!text) return undefined;
  const problem = macProblem(text);
  if (problem) throw badVariable('CNI_ARGS', `MAC=${text}`, problem);
  return normalMac(text);
}

const normalMac = (text: string): string => text.toLowerCase().replaceAll('-', ':');

/** Why the kernel would not take it. */
function macProblem(text: string): string | undefined {
  if (!/^[0-9a-f]{2}([:-])([0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return 'is not a MAC address of six bytes';
  if (Number.parseInt(text.slice(0, 2), 16) & 1) return 'is a multicast address; a link needs one of its own';
  return /^[0:-]+$/.test(text) ? 'is no address of a link' : undefined;
}
