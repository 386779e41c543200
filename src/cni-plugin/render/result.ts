import { linkAddressText } from '../../dataplane/links.ts';
import type { AttachmentPlan } from '../compile.ts';
import type { CniError } from '../errors.ts';
import type { PluginOptions } from '../options.ts';
import { type CniVersion, isAtLeast, latestVersion, supportedVersions } from '../versions.ts';

/** The answer to ADD in the form of the configuration's version (CNI spec 1.1.0, section 5 "Result Types"). */
export function renderResult(plan: AttachmentPlan, options: PluginOptions, netns: string): object {
  const { cniVersion, mtu, dns } = options;
  // `mtu` of interfaces, and the details of routes, came with 1.1.0; `version` of an address went with 1.0.0.
  const withMtu = isAtLeast(cniVersion, '1.1.0') ? { mtu } : {};
  return {
    cniVersion,
    interfaces: [
      { name: plan.bridge.name, mac: plan.bridge.mac, ...withMtu },
      { name: plan.host.name, mac: plan.host.mac, ...withMtu },
      { name: plan.pod.name, mac: plan.pod.mac, ...withMtu, sandbox: netns },
    ],
    ips: plan.addresses.map(({ address, gateway }) => ({
      ...(isAtLeast(cniVersion, '1.0.0') ? {} : { version: String(address.address.family) }),
      interface: 2,
      address: linkAddressText(address),
      gateway: gateway.text,
    })),
    routes: plan.routes.map(({ destination, gateway, mtu: routeMtu, advmss, metric, table, scope }) => ({
      dst: destination.text,
      ...(gateway ? { gw: gateway.text } : {}),
      ...(isAtLeast(cniVersion, '1.1.0') ? given({ mtu: routeMtu, advmss, priority: metric, table, scope }) : {}),
    })),
    dns,
  };
}

const given = (fields: Readonly<Record<string, number | undefined>>): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** The answer to VERSION; `asked` is the configuration's version, echoed when there is one. */
export const renderVersions = (asked: string | undefined): object => ({ cniVersion: asked ?? latestVersion, supportedVersions });

/** The error object (CNI spec 1.1.0, section 5 "Error"). */
export const renderError = ({ code, message, details }: CniError, cniVersion: CniVersion): object => ({
  cniVersion,
  code,
  msg: message,
  ...(details ? { details } : {}),
});
