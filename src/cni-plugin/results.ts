import type { LinkAddress } from '../dataplane/links.ts';
import { type Address, tryParseAddress } from '../net/index.ts';
import { type Dns, mergeDns, parseDns } from './dns-options.ts';
import { asObject, defined, type Fields, invalid, listField, numberField, objectField, textField } from './fields.ts';
import { addressField, type PodRoute, parseRoutes } from './ipam-options.ts';

/** A link in a result. `socketPath` and `pciID` are of other plugins. */
export interface ResultInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}

/** An address in a result. `interface` is the place of its link among the interfaces. */
export interface ResultAddress {
  readonly address: LinkAddress;
  readonly gateway?: Address;
  readonly interface?: number;
}

/** What ADD answers, whatever the version that it is written in (CNI spec 1.1.0, section 5). */
export interface CniResult {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultAddress[];
  readonly routes: readonly PodRoute[];
  readonly dns: Dns;
}

/**
 * Reads a result of any version from 0.3.0 on: of a plugin before this one (`prevResult`), or of one that this one has run.
 * @param path how an error names it
 * @throws CniError 7
 */
export function parseResult(fields: Fields, path: string): CniResult {
  const interfaces = listField(fields, 'interfaces', `${path}.interfaces`).map((entry, index) =>
    parseInterface(asObject(entry, `${path}.interfaces[${index}]`), `${path}.interfaces[${index}]`),
  );
  return {
    interfaces,
    ips: listField(fields, 'ips', `${path}.ips`).map((entry, index) =>
      parseIp(asObject(entry, `${path}.ips[${index}]`), `${path}.ips[${index}]`, interfaces.length),
    ),
    routes: parseRoutes(listField(fields, 'routes', `${path}.routes`), `${path}.routes`),
    dns: parseDns(objectField(fields, 'dns', `${path}.dns`) ?? {}, `${path}.dns`),
  };
}

function parseInterface(entry: Fields, path: string): ResultInterface {
  const name = textField(entry, 'name', `${path}.name`);
  if (name === undefined) throw invalid(`${path}.name`, entry['name'], 'is missing');
  const text = (key: string): string | undefined => textField(entry, key, `${path}.${key}`);
  return {
    name,
    ...defined({
      mac: text('mac'),
      mtu: numberField(entry, 'mtu', { min: 0, max: 2 ** 31 - 1 }, `${path}.mtu`) || undefined,
      sandbox: text('sandbox'),
      socketPath: text('socketPath'),
      pciID: text('pciID'),
    }),
  };
}

function parseIp(entry: Fields, path: string, interfaces: number): ResultAddress {
  const text = textField(entry, 'address', `${path}.address`) ?? '';
  const [host = '', length = ''] = text.split('/');
  const address = tryParseAddress(host);
  if (!address || !/^\d{1,3}$/.test(length) || Number(length) > (address.family === 4 ? 32 : 128))
    throw invalid(`${path}.address`, entry['address'], 'is not an address with a prefix length');
  const gateway = addressField(entry, 'gateway', `${path}.gateway`);
  const at = numberField(entry, 'interface', { min: 0, max: 1_000 }, `${path}.interface`);
  if (at !== undefined && at >= interfaces)
    throw invalid(`${path}.interface`, at, `is the place of no interface (there are ${interfaces})`);
  return { address: { address, length: Number(length) }, ...defined({ gateway, interface: at }) };
}

/** The result of a chain so far, with what this plugin made added to it. */
export const mergeResults = (before: CniResult, own: CniResult): CniResult => ({
  interfaces: [...before.interfaces, ...own.interfaces],
  ips: [
    ...before.ips,
    ...own.ips.map((ip) => (ip.interface === undefined ? ip : { ...ip, interface: ip.interface + before.interfaces.length })),
  ],
  routes: [...before.routes, ...own.routes],
  dns: mergeDns(before.dns, own.dns),
});
