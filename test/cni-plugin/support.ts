import { type CniPorts, invoke } from '../../src/cni-plugin/index.ts';
import type { ReservationStore } from '../../src/ipam/index.ts';
import { createFakeLinks, type FakeLinks } from '../../src/kernel/netlink/fake.ts';

/** Reservations in memory. */
export function memoryStore(): ReservationStore {
  const owners = new Map<string, string>();
  const claims = new Map<string, string>();
  const notes = new Map<string, string>();
  return {
    readOwner: (key) => owners.get(key),
    writeOwner: (key, record) => void owners.set(key, record),
    removeOwner: (key) => void owners.delete(key),
    owners: () => [...owners.keys()],
    claim(key, name) {
      if (claims.has(name)) return false;
      claims.set(name, owners.get(key)!);
      return true;
    },
    readClaim: (name) => claims.get(name),
    release: (name) => void claims.delete(name),
    claims: () => [...claims.keys()],
    readNote: (name) => notes.get(name),
    writeNote: (_key, name, text) => void notes.set(name, text),
  };
}

export interface FakeNode {
  readonly links: FakeLinks;
  readonly store: ReservationStore;
  /** What a test changes. */
  readonly facts: { forwards: boolean; now: number };
  run(
    command: string,
    pod: string | undefined,
    config?: object,
    environment?: Record<string, string>,
  ): Promise<{ exitCode: number; json: any; stdout: string }>;
}

export const baseConfig = {
  cniVersion: '1.1.0',
  name: 'podwire',
  type: 'podwire-cni',
  isDefaultGateway: true,
  hairpinMode: true,
  ipam: { type: 'podwire-ipam', dataDir: '/data', ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]] },
};

/** A node whose links and reservations are in memory. Pod namespaces are /ns/NAME. */
export function createFakeNode(...pods: string[]): FakeNode {
  const links = createFakeLinks();
  const store = memoryStore();
  const facts = { forwards: true, now: Date.parse('2026-01-01T00:00:00Z') };
  const inodes = new Map([['/ns/node', 1], ...pods.map((pod, index) => [`/ns/${pod}`, index + 2] as const)]);
  for (const path of inodes.keys()) links.addNamespace(path);
  const ports: CniPorts = {
    host: links.netlink('/ns/node'),
    pod: (netns) => links.netlink(netns),
    openStore: () => store,
    namespaceIdentity: (path) =>
      inodes.has(path)
        ? { inode: inodes.get(path)!, isNamespace: true }
        : path === '/etc/passwd'
          ? { inode: 99, isNamespace: false }
          : undefined,
    ownNamespace: '/ns/node',
    forwards: () => facts.forwards,
    bootId: 'boot',
    now: () => facts.now,
    sleep: () => Promise.resolve(),
  };
  return {
    links,
    store,
    facts,
    async run(command, pod, config = {}, environment = {}) {
      const given = pod === undefined ? {} : { CNI_CONTAINERID: `c-${pod}`, CNI_NETNS: `/ns/${pod}`, CNI_IFNAME: 'eth0' };
      const { stdout, exitCode } = await invoke(
        { environment: { CNI_COMMAND: command, ...given, ...environment }, stdin: JSON.stringify({ ...baseConfig, ...config }) },
        () => ports,
      );
      return { stdout, exitCode, json: stdout === '' ? undefined : JSON.parse(stdout) };
    },
  };
}
