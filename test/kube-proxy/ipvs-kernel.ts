import { printIpSetSave } from '../../src/dataplane/ipset-diff.ts';
import { printRule } from '../../src/dataplane/iptables-print.ts';
import { printIpvsSave } from '../../src/dataplane/ipvs-print.ts';
import { createDirector, type DirectorDoor } from '../../src/kernel/ipvs-director.ts';
import { createIptables } from '../../src/kernel/iptables.ts';
import type { FakeIpvs } from '../../src/kernel/fake-ipvs.ts';
import type { ProxyOptions } from '../../src/kube-proxy/index.ts';
import { dummyLink, ipvsOwner, ipvsSysctls } from '../../src/kube-proxy/render/ipvs.ts';

/** The door to a fake kernel, as the daemon opens it. */
export const directorOf = (kernel: FakeIpvs, family: 4 | 6, options: ProxyOptions, lenient = false): DirectorDoor =>
  createDirector(kernel, createIptables(kernel, family), {
    link: dummyLink,
    ownsSet: ipvsOwner(family, options, false).ownsSet,
    sysctls: ipvsSysctls(options),
    lenient,
  });

/** All that the tools would dump of a fake kernel's IPv4 rules, sets and virtual servers. */
export const printSave = ({ iptables, sets, servers }: FakeIpvs): string => {
  const rules = [...iptables.rules(4).tables].flatMap(([table, chains]) =>
    [...chains].flatMap(([chain, { policy, rules: own }]) => [
      ...(policy === undefined ? [`${table} ${chain}`] : []),
      ...own.map((rule) => `${table} ${chain} ${printRule(rule)}`),
    ]),
  );
  return `${rules.sort().join('\n')}\n${printIpSetSave(sets)}${printIpvsSave(servers)}`;
};
