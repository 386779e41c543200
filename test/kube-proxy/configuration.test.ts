import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration, printConfiguration, ProxyError, resolveProxyOptions } from '../../src/kube-proxy/index.ts';

const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

/** As kubeadm leaves it in the ConfigMap kube-proxy: every field there, most of them with Go's zeros. */
const ofKubeadm = `${head}bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: ""
mode: ""
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: ""}
`;

describe('the configuration file of kube-proxy', () => {
  test("kubeadm's is taken as it is: what it leaves open keeps its default", () => {
    const { options, kubeconfig, ...rest } = parseConfiguration(ofKubeadm, 'config.conf');
    expect(kubeconfig).toBe('/var/lib/kube-proxy/kubeconfig.conf');
    expect(resolveProxyOptions({ nodeName: 'worker-1', ...options })).toEqual({
      ...resolveProxyOptions({ nodeName: 'worker-1' }),
      clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
      // Written out as nothing, which says: as often as you like.
      minSyncPeriod: 0,
    });
    expect(rest.healthzBindAddress).toBeUndefined();
    expect(rest.warnings.filter((warning) => !warning.startsWith('logging.'))).toEqual([]);
  });

  test('each mode has its own periods and masquerading', () => {
    const file = (mode: string) =>
      `${head}mode: ${mode}
iptables: {masqueradeBit: 3, syncPeriod: 10s, minSyncPeriod: 2s}
nftables: {masqueradeAll: true, masqueradeBit: 5, syncPeriod: 1m, minSyncPeriod: 1s}
`;
    expect(parseConfiguration(file('iptables'), 'f').options).toMatchObject({ masqueradeBit: 3, syncPeriod: 10_000, minSyncPeriod: 2_000 });
    expect(parseConfiguration(file('nftables'), 'f').options).toMatchObject({
      masqueradeBit: 5,
      masqueradeAll: true,
      syncPeriod: 60_000,
      minSyncPeriod: 1_000,
    });
  });

  test.each([
    ['127.0.0.1', { host: '127.0.0.1', port: 10_256 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['[::]:10256', { host: '::', port: 10_256 }],
    ['[::1]', { host: '::1', port: 10_256 }],
    ['::1', { host: '::1', port: 10_256 }],
  ])('healthzBindAddress %s', (text, address) => {
    expect(parseConfiguration(`${head}healthzBindAddress: "${text}"\n`, 'f').healthzBindAddress).toEqual(address);
  });

  test('what changes nothing is told, with the field and the reason', () => {
    const text = `${head}portRange: 10-20\nfeatureGates: {A: true}\niptables: {masqueradBit: 3}\nspec: 1\n`;
    expect(parseConfiguration(text, 'f').warnings).toEqual([
      'iptables.masqueradBit: unknown field, ignored',
      'spec: unknown field, ignored',
      'featureGates: has no effect (nothing here is behind a feature gate)',
      'portRange: has no effect (it was for the userspace mode)',
    ]);
  });

  test.each([
    ['iptables: {masqueradeBit: 32}', 'iptables.masqueradeBit: Invalid value: 32: must be within the range [0, 31]'],
    ['mode: userspace', 'mode: Invalid value: "userspace": must be iptables,ipvs,nftables or blank'],
    ['iptables: {syncPeriod: 5}', 'iptables.syncPeriod: '],
    ['iptables: {syncPeriod: soon}', 'iptables.syncPeriod: Invalid value: "soon": must be a duration such as 30s'],
    ['iptables: {minSyncPeriod: 2m}', 'iptables.syncPeriod: Invalid value: "30s": must be greater than or equal to iptables.minSyncPeriod'],
    ['conntrack: {min: -1}', 'conntrack.min: Invalid value: -1: must be within the range'],
    ['metricsBindAddress: nowhere', 'metricsBindAddress: Invalid value: "nowhere": must be IP:port'],
    ['oomScoreAdj: 2000', 'oomScoreAdj: Invalid value: 2000: must be within the range [-1000, 1000]'],
    ['detectLocalMode: Guess', 'detectLocalMode: Invalid value: "Guess": must be ClusterCIDR,'],
    ['mode: [a', 'is not YAML: '],
    ['mode: iptables\nmode: ipvs', 'is not YAML: Map keys must be unique'],
  ])('refuses %j by file, field and reason', (text, message) => {
    expect(() => parseConfiguration(`${head}${text}\n`, 'config.conf')).toThrow(`config.conf: ${message}`);
  });

  test.each([
    ['', 'is no KubeProxyConfiguration'],
    ['kind: Pod\n', 'kind: expected KubeProxyConfiguration, not "Pod"'],
    ['kind: KubeProxyConfiguration\napiVersion: v1\n', 'apiVersion: expected kubeproxy.config.k8s.io/v1alpha1, not "v1"'],
  ])('refuses what is none: %j', (text, message) => {
    expect(() => parseConfiguration(text, 'f')).toThrow(`f: ${message}`);
  });

  test('any text is a configuration or a ProxyError', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.constant(head), fc.string()).map((parts) => parts.join('')),
      fc.json().map((json) => `${head}iptables: ${json}\n`),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          parseConfiguration(given, 'f');
        } catch (error) {
          expect(error).toBeInstanceOf(ProxyError);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('options that are written as a file are read as the same', () => {
    const options = resolveProxyOptions({
      nodeName: 'worker-1',
      clusterCIDRs: ['10.244.0.0/16'],
      masqueradeAll: true,
      minSyncPeriod: 1_500,
      nodePortAddresses: ['10.0.0.0/8'],
      conntrack: { tcpBeLiberal: true, udpTimeout: 30_000 },
    });
    const text = printConfiguration(options, { kubeconfig: '/k', healthzBindAddress: '[::]:10256', metricsBindAddress: '127.0.0.1:10249' });
    const settings = parseConfiguration(text, 'f');
    expect(settings).toMatchObject({ kubeconfig: '/k', healthzBindAddress: { host: '::', port: 10_256 }, warnings: [] });
    expect(resolveProxyOptions({ nodeName: '', ...settings.options })).toEqual(options);
  });
});

describe('podwire proxy', () => {
  const podwire = (...args: string[]): string =>
    execFileSync(process.execPath, [join(import.meta.dirname, '../../src/cli/main.ts'), 'proxy', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    });

  test('--config and --write-config-to: the file is read, the flags that it replaces are named, the result written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'podwire-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'in.yaml'), `${head}iptables: {masqueradeBit: 7}\nhealthzBindAddress: 127.0.0.1:11111\n`);
    const out = join(folder, 'out.yaml');
    podwire('--config', join(folder, 'in.yaml'), '--node-name', 'worker-7', '--masquerade-all', '--write-config-to', out);
    expect(parse(readFileSync(out, 'utf8'))).toMatchObject({
      hostnameOverride: 'worker-7',
      healthzBindAddress: '127.0.0.1:11111',
      iptables: { masqueradeBit: 7, masqueradeAll: true },
    });
  });
});
