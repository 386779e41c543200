import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startCniInstaller } from '../../src/cni-plugin/daemon.ts';
import { installOnce } from '../../src/cni-plugin/effects/install.ts';
import { openReservations } from '../../src/cni-plugin/effects/reservations.ts';
import { parseRangeSets, reserveAddresses } from '../../src/ipam/index.ts';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { namespaceIdentity } from '../../src/kernel/namespace-identity.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { type Node, resources } from '../../src/objects/index.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'podwire-installer-'));
  writeFileSync(join(folder, 'executable'), '#!/bin/sh\n', { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const options = () => ({
  nodeName: 'worker-1',
  confDir: join(folder, 'net.d'),
  binDir: join(folder, 'bin'),
  stateDir: join(folder, 'state'),
});
const node = (podCIDRs: string[], name = 'worker-1'): Node =>
  ({ apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: { podCIDRs } }) as Node;

/** A node without any link. */
const noLinks: CommandRunner = { run: () => Promise.resolve({ stdout: '', stderr: '', exitCode: 0 }) };

function start(overrides = {}) {
  const cluster = createFakeCluster();
  const context = { log: silentLogger(), clock: systemClock, metrics: new Registry(), health: createHealth() };
  const begin = () =>
    startCniInstaller({ ...options(), ...overrides }, { cluster, executable: join(folder, 'executable'), runner: noLinks }, context);
  return { cluster, context, begin };
}

const conflist = () => join(folder, 'net.d/10-podwire.conflist');
// oxlint-disable-next-line typescript/no-explicit-any
const readConflist = (): any => JSON.parse(readFileSync(conflist(), 'utf8'));

describe('the installer', () => {
  it('writes the configuration when its Node has pod CIDRs, follows them, and removes it with them', async () => {
    const { cluster, context, begin } = start({ mtu: 1400 });
    cluster.set(resources.nodes, node(['10.244.9.0/24'], 'other'));
    const installer = await begin();
    await vi.waitFor(() =>
      expect(context.health.ready().checks).toContainEqual({ name: 'cni', problem: 'Node worker-1 has no spec.podCIDRs' }),
    );
    expect(existsSync(conflist())).toBe(false);
    cluster.set(resources.nodes, node(['10.244.1.0/24', 'fd00:10:244:1::/64']));
    await vi.waitFor(() => expect(existsSync(conflist())).toBe(true));
    expect(readConflist()).toMatchObject({ cniVersion: '1.1.0', name: 'podwire' });
    expect(readConflist().plugins).toEqual([
      {
        type: 'podwire-cni',
        bridge: 'podwire0',
        mtu: 1400,
        isGateway: true,
        isDefaultGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'podwire-ipam',
          dataDir: join(folder, 'state'),
          ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:10:244:1::/64' }]],
        },
        capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true },
      },
    ]);
    expect(statSync(join(folder, 'bin/podwire-cni.standalone')).ino).toBe(statSync(join(folder, 'executable')).ino);
    expect(readFileSync(join(folder, 'bin/podwire-cni'), 'utf8')).toContain('#!/bin/sh\n');
    expect(statSync(join(folder, 'bin/podwire-cni')).mode & 0o777).toBe(0o755);
    await vi.waitFor(() => expect(context.health.ready().ok).toBe(true));
    expect(installer.report()).toMatchObject({
      podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
      conflist: conflist(),
      attachments: [],
      problems: [],
    });
    cluster.set(resources.nodes, node(['10.244.2.0/24']));
    await vi.waitFor(() => expect(readConflist().plugins[0].ipam.ranges).toEqual([[{ subnet: '10.244.2.0/24' }]]));
    cluster.remove(resources.nodes, 'worker-1');
    await vi.waitFor(() => expect(existsSync(conflist())).toBe(false));
    expect(readdirSync(join(folder, 'net.d')), 'no temporary file is left').toEqual([]);
    await installer.stop();
  });

  it('keeps what it wrote when it stops, and says what is wrong with a pod CIDR', async () => {
    const { cluster, context, begin } = start();
    cluster.set(resources.nodes, node(['10.244.1.0/24']));
    const installer = await begin();
    await vi.waitFor(() => expect(existsSync(conflist())).toBe(true));
    cluster.set(resources.nodes, node(['10.244.1.0/24', '10.244.2.0/24']));
    await vi.waitFor(() =>
      expect(context.health.ready().checks.at(-1)?.problem).toBe('podCIDRs 10.244.1.0/24, 10.244.2.0/24: two of the same family'),
    );
    await installer.stop();
    expect(existsSync(conflist())).toBe(true);
  });

  it('releases the addresses of pods that are gone, and reports those of pods that are there', async () => {
    const store = openReservations(join(folder, 'state'), 'podwire');
    const own = namespaceIdentity('/proc/self/ns/net')!.inode;
    const reserve = (containerId: string, netns: string, netnsInode: number) =>
      reserveAddresses(store, parseRangeSets([[{ subnet: '10.244.1.0/24' }]]), {
        containerId,
        ifname: 'eth0',
        network: 'podwire',
        pod: `default/${containerId}`,
        netns,
        netnsInode,
        hostLink: `veth-${containerId}`,
        bootId: 'b',
        reservedAt: '2026-01-01T00:00:00Z',
      });
    reserve('gone', '/run/netns/none', 7);
    reserve('alive', '/proc/self/ns/net', own);
    reserve('replaced', '/proc/self/ns/net', own + 1);
    const { context, begin } = start();
    const installer = await begin();
    expect(installer.report().attachments).toEqual([
      {
        pod: 'default/alive',
        containerId: 'alive',
        interface: 'eth0',
        hostLink: 'veth-alive',
        netns: '/proc/self/ns/net',
        addresses: ['10.244.1.3'],
        since: '2026-01-01T00:00:00Z',
        state: 'reserved',
      },
    ]);
    expect(await context.metrics.metrics()).toContain('podwire_cni_attachments 1');
    await installer.stop();
  });

  it('refuses options that are none, and says when the executable is not built', async () => {
    await expect(start({ mtu: 100 }).begin()).rejects.toThrow('CNI option mtu: must be >= 1280');
    await expect(start({ confDir: 'x' }).begin()).rejects.toThrow(/CNI option confDir/);
    await expect(start({ bridge: 'a b' }).begin()).rejects.toThrow('CNI option bridge: "a b" is not a link name');
    rmSync(join(folder, 'executable'));
    await expect(start().begin()).rejects.toThrow(/executable .* is missing; build it with: npm run build/);
  });

  it('installs once without a cluster, again and again', () => {
    for (let time = 0; time < 2; time++) {
      const paths = installOnce(options(), ['10.1.0.0/24'], join(folder, 'executable'));
      expect([existsSync(paths.conflist), existsSync(paths.executable)]).toEqual([true, true]);
      expect(statSync(paths.conflist).mode & 0o777).toBe(0o644);
    }
    expect(readdirSync(join(folder, 'bin'))).toEqual(['podwire-cni', 'podwire-cni.standalone', 'podwire-ipam']);
    expect(readlinkSync(join(folder, 'bin/podwire-ipam'))).toBe('podwire-cni.standalone');
    // Ranges of before are gone with the file that held them.
    installOnce(options(), ['10.2.0.0/24'], join(folder, 'executable'));
    expect(readConflist().plugins[0].ipam.ranges).toEqual([[{ subnet: '10.2.0.0/24' }]]);
  });
});
