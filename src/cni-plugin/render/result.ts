import { linkAddressText } from '../../dataplane/links.ts';
import type { AttachmentPlan } from '../compile.ts';
import type { CniError } from '../errors.ts';
import { defined } from '../fields.ts';
import type { PluginOptions } from '../options.ts';
import { type CniResult, mergeResults } from '../results.ts';
import { type CniVersion, isAtLeast, latestVersion, supportedVersions } from '../versions.ts';

/** The answer to ADD, after what the plugins before in the chain have answered. `netns` is the path that the runtime gave. */
export function renderResult(plan: AttachmentPlan, options: PluginOptions, netns: string): object {
  const { mtu, cniVersion, prevResult } = options;
  const { bridge, host, pod } = plan;
  const interfaces = [...(bridge ? [{ ...bridge, mtu }] : []), { ...host, mtu }, { ...pod, mtu, sandbox: netns }];
  const own: CniResult = {
    interfaces,
    ips: plan.addresses.map((address) => ({ interface: interfaces.length - 1, ...address })),
    routes: plan.routes,
    dns: plan.dns,
  };
  return renderCniResult(prevResult ? mergeResults(prevResult, own) : own, cniVersion);
}

/**
 * A result in the form of a version (CNI spec 1.1.0, section 5 "Result Types"): `mtu` of interfaces and the details of routes came with 1.1.0,
 * `version` of an address went with 1.0.0.
 */
export function renderCniResult({ interfaces, ips, routes, dns }: CniResult, cniVersion: CniVersion): object {
  const isLatest = isAtLeast(cniVersion, '1.1.0');
  return {
    cniVersion,
    // An IPAM plugin makes no links and says nothing of them.
    ...(interfaces.length === 0 ? {} : { interfaces: interfaces.map((link) => (isLatest ? link : beforeLatest(link))) }),
    ips: ips.map(({ address, gateway, interface: at }) => ({
      ...(isAtLeast(cniVersion, '1.0.0') ? {} : { version: String(address.address.family) }),
      ...(at === undefined ? {} : { interface: at }),
      address: linkAddressText(address),
      ...(gateway ? { gateway: gateway.text } : {}),
    })),
    routes: routes.map(({ destination, gateway, mtu, advmss, metric, table, scope }) => ({
      dst: destination.text,
      ...(gateway ? { gw: gateway.text } : {}),
      ...(isLatest ? defined({ mtu, advmss, priority: metric, table, scope }) : {}),
    })),
    dns,
  };
}

const beforeLatest = ({ name, mac, sandbox }: CniResult['interfaces'][number]): object => ({ name, ...defined({ mac, sandbox }) });

/** The answer to VERSION; `asked` is the configuration's version, echoed when there is one. */
export const renderVersions = (asked: string | undefined): object => ({ cniVersion: asked ?? latestVersion, supportedVersions });

/** The error object (CNI spec 1.1.0, section 5 "Error"). */
export const renderError = ({ code, message, details }: CniError, cniVersion: CniVersion): object => ({
  cniVersion,
  code,
  msg: message,
  ...(details ? { details } : {}),
});
