import { type ChildProcess, execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listReservations, parseRangeSets, reserveAddresses } from '../../src/ipam/index.ts';
import { readBootId } from '../../src/kernel/namespace-identity.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';
import { type CniAgentNode, createCniAgentNode } from '../../test/kernel/support/cni-agent-node.ts';
import { buildExecutable, executable } from '../../test/kernel/support/cni-node.ts';
import { MissingReferenceError } from '../table.ts';
import type { Job, Tier, Times } from './driver.ts';
import { type Crowd, runCrowd } from './crowd.ts';

/** A node in a network namespace of its own, with an agent; the same bridge network by either side. All of it is gone after `close`. */
export interface Bed {
  /**
   * The same network for all tiers, with `options` laid over it and subnets of their own. `hostPorts` are ours by an option, and in the reference
   * the plugin portmap's.
   */
  tiers(
    name: string,
    options: object,
    more?: { readonly names?: readonly TierName[]; readonly hostPorts?: Readonly<Record<TierName, object>> },
  ): readonly Tier[];
  /** Fills the network `name` with so many reservations, on both sides. */
  fill(name: string, count: number): void;
  measure(job: Job): Promise<Times>;
  crowd(tier: Tier, count: number): Promise<Crowd>;
  close(): void;
}

export type TierName = 'agent' | 'standalone' | 'reference';

const tierNames: readonly TierName[] = ['agent', 'standalone', 'reference'];

/** Where Debian's package containernetworking-plugins puts its programs; PODWIRE_CNI_REFERENCE names another folder. */
const referenceFolder = process.env['PODWIRE_CNI_REFERENCE'] ?? '/usr/lib/cni';

/** Namespaces that the many pods of a crowd share. */
const sharedNamespaces = 10;

/** @throws MissingReferenceError when the reference is not installed */
export async function makeBed(): Promise<Bed> {
  const missing = ['bridge', 'host-local', 'portmap'].filter((plugin) => !existsSync(join(referenceFolder, plugin)));
  if (missing.length > 0)
    throw new MissingReferenceError(
      `${missing.join(', ')} not found in ${referenceFolder}: install the Debian package containernetworking-plugins, or set PODWIRE_CNI_REFERENCE`,
    );
  buildExecutable();
  const node = createCniAgentNode('bench');
  try {
    const pods = Object.fromEntries(tierNames.map((name) => [name, node.addPod(name)]));
    const shared = Array.from({ length: sharedNamespaces }, (_, index) => node.addPod(`shared${index}`));
    await node.startAgent();
    return {
      tiers: (name, options, { names = tierNames, hostPorts } = {}) =>
        names.map((tier) => {
          const common = { name: tier, program: programOf(tier, node), netns: pods[tier]! };
          const ports = hostPorts && { capabilities: { portMappings: true }, runtimeConfig: { portMappings: hostPorts[tier] } };
          if (tier !== 'reference') return { ...common, config: ownConfig(node, name, { ...options, ...ports }) };
          const config = referenceConfig(node, name, options);
          if (!ports) return { ...common, config };
          const chained = {
            program: join(referenceFolder, 'portmap'),
            config: { cniVersion: '1.0.0', name: `reference-${name}`, type: 'portmap', ...ports },
          };
          return { ...common, config, chained };
        }),
      fill(name, count) {
        fillOurs(node, name, count);
        fillReference(node, name, count);
      },
      measure: (job) => runDriver(node, job),
      crowd: (tier, count) =>
        runCrowd({ tier, count, node: node.namespace, namespaces: shared, cniPath: referenceFolder, folder: node.dataDir }),
      close: () => node.close(),
    };
  } catch (error) {
    node.close();
    throw error;
  }
}

const programOf = (tier: TierName, node: CniAgentNode): string =>
  tier === 'agent' ? join(node.binDir, 'podwire-cni') : tier === 'standalone' ? executable : join(referenceFolder, 'bridge');

const ranges = (third: number) => [[{ subnet: `10.${third}.0.0/16` }], [{ subnet: `fd00:10:${third}::/64` }]];

const ownConfig = (node: CniAgentNode, name: string, options: object): object => ({
  ...node.config,
  name: `ours-${name}`,
  bridge: `pw-${name}`,
  ipam: { type: 'podwire-ipam', dataDir: node.dataDir, ranges: ranges(100 + number(name)) },
  ...options,
});

const referenceConfig = (node: CniAgentNode, name: string, options: object): object => ({
  cniVersion: '1.0.0',
  name: `reference-${name}`,
  type: 'bridge',
  bridge: `ref-${name}`,
  isDefaultGateway: true,
  hairpinMode: true,
  ipam: { type: 'host-local', dataDir: join(node.dataDir, 'reference'), ranges: ranges(200 + number(name)) },
  ...options,
});

/** Networks get subnets of their own, told by the name. */
const networks: string[] = [];
function number(name: string): number {
  if (!networks.includes(name)) networks.push(name);
  return networks.indexOf(name);
}

function fillOurs(node: CniAgentNode, name: string, count: number): void {
  const bootId = readBootId();
  const network = `ours-${name}`;
  const store = openClaimFiles(join(node.dataDir, network), bootId);
  const sets = parseRangeSets(ranges(100 + number(name)));
  for (let index = 0; index < count; index++)
    reserveAddresses(store, sets, {
      containerId: `full${index}`,
      ifname: 'eth0',
      network,
      netns: '/run/netns/none',
      netnsInode: 1,
      hostLink: `vethfull${index}`,
      bootId,
      reservedAt: new Date().toISOString(),
    });
  if (listReservations(store).reservations.length !== count) throw new Error('the reservations were not all made');
}

/** As host-local keeps them: a file named after each address, and the one given last. */
function fillReference(node: CniAgentNode, name: string, count: number): void {
  const folder = join(node.dataDir, 'reference', `reference-${name}`);
  mkdirSync(folder, { recursive: true });
  const second = 200 + number(name);
  let last: string[] = [];
  for (let index = 0; index < count; index++) {
    const host = index + 2;
    last = [`10.${second}.${host >> 8}.${host & 255}`, `fd00:10:${second}::${host.toString(16)}`];
    for (const address of last) writeFileSync(join(folder, address), `full${index}\r\neth0`);
  }
  for (const [set, address] of last.entries()) writeFileSync(join(folder, `last_reserved_ip.${set}`), address);
}

function runDriver(node: CniAgentNode, job: Job): Promise<Times> {
  const words = [`--net=${node.namespace}`, '--', process.execPath, join(import.meta.dirname, 'driver.ts')];
  return new Promise((resolve, reject) => {
    const child: ChildProcess = execFile(
      'nsenter',
      words,
      { env: { ...process.env, CNI_PATH: referenceFolder }, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error) reject(new Error(stderr || error.message));
        else resolve(JSON.parse(stdout) as Times);
      },
    );
    child.stdin!.end(JSON.stringify(job));
  });
}

/** Version of the reference, as Debian's list of installed packages says. The programs do not know it. */
export function referenceVersion(): string {
  const status = '/var/lib/dpkg/status';
  const text = existsSync(status) ? readFileSync(status, 'utf8') : '';
  return /^Package: containernetworking-plugins\n(?:.+\n)*?Version: (.+)$/m.exec(text)?.[1] ?? 'of unknown version';
}
