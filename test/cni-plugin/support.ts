import { join } from 'node:path';
import type { Damage } from '../../src/cni-plugin/damage.ts';
import type { DelegationPorts } from '../../src/cni-plugin/delegation.ts';
import type { ExtrasPorts } from '../../src/cni-plugin/extras.ts';
import { type CniPorts, invoke } from '../../src/cni-plugin/index.ts';
import type { ReservationStore } from '../../src/ipam/index.ts';
import { createFakeNft, type FakeNft } from '../../src/kernel/fake-nft.ts';
import { createFakeTrafficControl, type FakeTrafficControl } from '../../src/kernel/fake-tc.ts';
import { createFakeLinks, type FakeLinks } from '../../src/kernel/netlink/fake.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';

/** Reservations in memory. */
export function memoryStore(): ReservationStore {
  // A claim shares the record that its owner had when it was made, as a hard link does.
  const owners = new Map<string, { text: string }>();
  const claims = new Map<string, { readonly text: string }>();
  const notes = new Map<string, string>();
  return {
    readOwner: (key) => owners.get(key)?.text,
    writeOwner: (key, record) => void owners.set(key, { text: record }),
    appendToOwner(key, text) {
      const record = owners.get(key);
      if (record) record.text += text;
    },
    removeOwner: (key) => void owners.delete(key),
    owners: () => [...owners.keys()],
    unfinishedOwners: () => [],
    claim(key, name) {
      if (claims.has(name)) return false;
      claims.set(name, owners.get(key)!);
      return true;
    },
    readClaim: (name) => claims.get(name)?.text,
    release: (name) => void claims.delete(name),
    claims: () => [...claims.keys()],
    claimsWithRecord: (key) => [...claims].flatMap(([name, record]) => (record === owners.get(key) ? [name] : [])),
    readNote: (name) => notes.get(name),
    writeNote: (_key, name, text) => void notes.set(name, text),
    isClaimed: (name) => claims.has(name),
    queues: memoryQueues(),
    journal: () => undefined,
    now: () => 0,
  };
}

/** Queues in memory; an offset is the number of a line. */
function memoryQueues(): ReservationStore['queues'] {
  const queues = new Map<string, { head: number; remark: string; lines: string[] }>();
  return {
    read(name, from) {
      const queue = queues.get(name);
      const start = from ?? queue?.head ?? 0;
      return (
        queue && { ...queue, id: 1, lines: queue.lines.slice(start, start + 3).map((text, index) => ({ text, next: start + index + 1 })) }
      );
    },
    advance(name, _id, head, remark) {
      queues.set(name, { head, remark, lines: queues.get(name)?.lines ?? [] });
    },
    push(name, lines) {
      queues.get(name)?.lines.push(...lines);
    },
  };
}

/** What masquerade, host ports and bandwidth limits left behind in a fake node. */
export interface FakeExtras {
  readonly nft: FakeNft;
  readonly hostPorts: ReservationStore;
  qdiscs(netns?: string): FakeTrafficControl;
  /** Ports whose UDP flows were forgotten, in order. */
  readonly forgotten: number[];
  readonly routeLocalnet: Map<string, boolean>;
}

function createFakeExtras(links: FakeLinks, now: () => number, hostPorts: ReservationStore): { extras: FakeExtras; ports: ExtrasPorts } {
  const nft = createFakeNft();
  const forgotten: number[] = [];
  const routeLocalnet = new Map<string, boolean>();
  const controls = new Map<string, FakeTrafficControl>();
  const qdiscs = (netns = '/ns/node'): FakeTrafficControl => {
    const known =
      controls.get(netns) ?? createFakeTrafficControl(async (device) => (await links.netlink(netns).read([device])).links.has(device));
    controls.set(netns, known);
    return known;
  };
  return {
    extras: { nft, hostPorts, qdiscs, forgotten, routeLocalnet },
    ports: {
      nat: {
        nft,
        forgetUdpFlows: (flows) => Promise.resolve(void forgotten.push(...flows.map(({ port }) => port))),
        nodeNamespace: 1,
        now,
      },
      openHostPorts: () => hostPorts,
      qdiscs,
      readRouteLocalnet: (link) => routeLocalnet.get(link) ?? false,
      allowRouteLocalnet: (link) => void routeLocalnet.set(link, true),
    },
  };
}

/** Other plugins in memory, by their path. */
export interface FakePlugins {
  /** What a plugin answers: its exit code and the object on standard output. */
  readonly installed: Map<
    string,
    (environment: Readonly<Record<string, string>>, config: any) => { exitCode?: number; json?: object; text?: string }
  >;
  /** Their runs, as `COMMAND name version`. */
  readonly calls: string[];
  readonly files: Map<string, string>;
}

function createFakePlugins(): { plugins: FakePlugins; ports: DelegationPorts } {
  const plugins: FakePlugins = { installed: new Map(), calls: [], files: new Map() };
  return {
    plugins,
    ports: {
      findPlugin: (folders, name) => folders.map((folder) => `${folder}/${name}`).find((path) => plugins.installed.has(path)),
      runPlugin(path, stdin, environment) {
        const config = JSON.parse(stdin) as { cniVersion: string };
        plugins.calls.push(`${environment['CNI_COMMAND']} ${path.split('/').at(-1)} ${config.cniVersion}`);
        const { exitCode = 0, json, text } = plugins.installed.get(path)!(environment, config);
        return Promise.resolve({ exitCode, stdout: text ?? (json ? JSON.stringify(json) : ''), stderr: '' });
      },
      readText: (path) => plugins.files.get(path),
    },
  };
}

export interface FakeAnswer {
  readonly exitCode: number;
  readonly json: any;
  readonly stdout: string;
}

export interface FakeNode {
  readonly ports: CniPorts;
  readonly plugins: FakePlugins;
  /** What was reported as damaged, in order. */
  readonly damages: readonly Damage[];
  /** The MAC that each guarded link may send from. */
  readonly guarded: ReadonlyMap<string, string>;
  readonly links: FakeLinks;
  readonly extras: FakeExtras;
  readonly store: ReservationStore;
  /** What a test changes. */
  readonly facts: { forwards: boolean; now: number };
  run(command: string, pod: string | undefined, config?: object, environment?: Record<string, string>): Promise<FakeAnswer>;
  /** With exactly this environment and standard input. */
  raw(environment: Readonly<Record<string, string>>, stdin: string): Promise<FakeAnswer>;
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
export const createFakeNode = (...pods: string[]): FakeNode => fakeNodeOf(pods, memoryStore(), memoryStore());

/** One whose reservations are files in the folder. */
export const createFakeNodeIn = (folder: string, ...pods: string[]): FakeNode =>
  fakeNodeOf(pods, openClaimFiles(join(folder, 'podwire'), 'boot'), openClaimFiles(join(folder, '_host-ports'), 'boot'));

function fakeNodeOf(pods: readonly string[], store: ReservationStore, hostPorts: ReservationStore): FakeNode {
  const links = createFakeLinks();
  const facts = { forwards: true, now: Date.parse('2026-01-01T00:00:00Z') };
  const inodes = new Map([['/ns/node', 1], ...pods.map((pod, index) => [`/ns/${pod}`, index + 2] as const)]);
  for (const path of inodes.keys()) links.addNamespace(path);
  const { plugins, ports: pluginPorts } = createFakePlugins();
  const { extras, ports: extrasPorts } = createFakeExtras(links, () => facts.now, hostPorts);
  const allowed = new Map<string, string>();
  const damages: Damage[] = [];
  const ports: CniPorts = {
    ...extrasPorts,
    ...pluginPorts,
    macGuard: {
      allow: (link, mac) => Promise.resolve(void allowed.set(link, mac)),
      forget: (link) => Promise.resolve(void allowed.delete(link)),
      read: (link) => Promise.resolve(allowed.has(link) ? [allowed.get(link)!] : undefined),
      guarded: () => Promise.resolve([...allowed.keys()]),
    },
    reportDamage: (damage) => void damages.push(damage),
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
  const raw: FakeNode['raw'] = async (environment, stdin) => {
    const { stdout, exitCode } = await invoke({ environment, stdin }, () => ports);
    return { stdout, exitCode, json: stdout === '' ? undefined : JSON.parse(stdout) };
  };
  return {
    raw,
    ports,
    plugins,
    damages,
    guarded: allowed,
    links,
    extras,
    store,
    facts,
    run(command, pod, config = {}, environment = {}) {
      const given = pod === undefined ? {} : { CNI_CONTAINERID: `c-${pod}`, CNI_NETNS: `/ns/${pod}`, CNI_IFNAME: 'eth0' };
      return raw({ CNI_COMMAND: command, ...given, ...environment }, JSON.stringify({ ...baseConfig, ...config }));
    },
  };
}
