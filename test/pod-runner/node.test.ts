import { describe, expect, test } from 'vitest';
import type { Pod } from '../../src/objects/client.ts';
import { podRunnerOptions } from '../../src/pod-runner/index.ts';
import { initialProbeState, type ProbeState, stepProbe } from '../../src/pod-runner/machine/probe.ts';
import { nodeLabels, nodeStatus, nodeStatusHolds } from '../../src/pod-runner/render/node.ts';
import { isMirrorPod, mirrorPod, mirrors, staticPod } from '../../src/pod-runner/render/static-pod.ts';

const identity = { name: 'worker-1', addresses: ['192.168.88.12', 'fd00:88::12'], labels: { zone: 'a' }, maxPods: 110 };
const machine = {
  cpus: 2,
  memoryBytes: 1024 ** 3,
  diskBytes: 1024 ** 4,
  architecture: 'amd64',
  kernelVersion: '6.1',
  osImage: 'Debian',
  machineID: 'm',
  bootID: 'b',
};

describe('node', () => {
  test('the status tells addresses, resources, versions and that pods can be run', () => {
    expect(nodeStatus(identity, machine, undefined, [], 0)).toMatchObject({
      addresses: [
        { type: 'InternalIP', address: '192.168.88.12' },
        { type: 'InternalIP', address: 'fd00:88::12' },
        { type: 'Hostname', address: 'worker-1' },
      ],
      capacity: { cpu: '2', memory: '1048576Ki', pods: '110' },
      nodeInfo: { kubeletVersion: 'v1.33.0-podwire', containerRuntimeVersion: 'podwire://0.1.0', architecture: 'amd64' },
    });
    expect(nodeLabels(identity, machine)).toMatchObject({ 'kubernetes.io/hostname': 'worker-1', 'kubernetes.io/arch': 'amd64', zone: 'a' });
  });

  test('conditions of others stay, and only a change moves the time', () => {
    const others = [{ type: 'NetworkUnavailable', status: 'False' as const }];
    const first = nodeStatus(identity, machine, 'no network', others, 0);
    const same = nodeStatus(identity, machine, 'no network', first.conditions!, 60_000);
    const better = nodeStatus(identity, machine, undefined, same.conditions!, 120_000);
    const ready = [first, same, better].map(({ conditions }) => conditions!.find(({ type }) => type === 'Ready')!);
    expect(ready.map(({ status, lastTransitionTime }) => `${status} ${lastTransitionTime}`)).toEqual([
      'False 1970-01-01T00:00:00Z',
      'False 1970-01-01T00:00:00Z',
      'True 1970-01-01T00:02:00Z',
    ]);
    expect(better.conditions).toContainEqual(others[0]);
    expect(nodeStatusHolds(first, same)).toBe(true);
    expect(nodeStatusHolds(same, better)).toBe(false);
    expect(nodeStatusHolds(undefined, better)).toBe(false);
  });
});

describe('static pods', () => {
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'dns', namespace: 'kube-system' },
    spec: { containers: [{ name: 'dns', image: 'x' }] },
  };

  test('a pod is named after its node, and its uid follows the manifest', () => {
    const pod = staticPod(manifest, 'dns.yaml', 'worker-1');
    expect(pod).toMatchObject({ metadata: { name: 'dns-worker-1', namespace: 'kube-system' }, spec: { nodeName: 'worker-1' } });
    const changed = staticPod({ ...manifest, spec: { containers: [{ name: 'dns', image: 'y' }] } }, 'dns.yaml', 'worker-1');
    expect(changed.metadata.uid).not.toBe(pod.metadata.uid);
  });

  test('its mirror belongs to the node, and is stale once the manifest has changed', () => {
    const pod = staticPod(manifest, 'dns.yaml', 'worker-1');
    const mirror = mirrorPod(pod, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1', uid: 'n1' } }, 'now');
    expect(mirror.metadata.ownerReferences).toEqual([{ apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: 'n1', controller: true }]);
    expect(mirror.metadata.uid).toBeUndefined();
    expect([isMirrorPod(mirror), isMirrorPod(pod), mirrors(mirror, pod)]).toEqual([true, false, true]);
    expect(mirrors(mirror, { ...pod, metadata: { ...pod.metadata, uid: 'other' } } as Pod)).toBe(false);
  });

  test.each([
    [undefined, /is not an object/],
    [{ ...manifest, kind: 'Deployment' }, /must be of apiVersion v1 and kind Pod/],
    [{ ...manifest, metadata: { name: 'A B' } }, /metadata\.name/],
    [{ ...manifest, metadata: { name: 'a', namespace: '../x' } }, /metadata\.namespace/],
    [{ ...manifest, spec: {} }, /at least one container/],
    [{ ...manifest, spec: { containers: [{ name: '../x' }] } }, /container number 1/],
    [{ ...manifest, spec: { containers: [{ name: 'a' }, { name: 'a' }] } }, /two containers are named a/],
  ])('a broken manifest is refused by file and field', (value, problem) => {
    expect(() => staticPod(value, 'broken.yaml', 'worker-1')).toThrow(problem);
    expect(() => staticPod(value, 'broken.yaml', 'worker-1')).toThrow(/^broken\.yaml: /);
  });
});

describe('probe', () => {
  const follow = (outcomes: string, probe: object): string => {
    let state: ProbeState = initialProbeState;
    return [...outcomes].map((outcome) => (state = stepProbe(state, outcome === '+', probe)).verdict[0]).join('');
  };

  test('the verdict turns after the threshold, and a different outcome starts the count over', () => {
    expect(follow('---+', {})).toBe('uufs');
    expect(follow('+--+---', {})).toBe('sssssuf'.replace('u', 's'));
    expect(follow('+-+-', { failureThreshold: 1 })).toBe('sfsf');
    expect(follow('+++-+', { successThreshold: 2 })).toBe('ussss');
  });
});

describe('settings', () => {
  const given = { nodeName: 'worker-1', nodeIPs: ['192.168.88.12'] };

  test('defaults are filled in and the result is frozen', () => {
    const options = podRunnerOptions(given);
    expect(options).toMatchObject({ clusterDomain: 'cluster.local', nodeLeaseDurationSeconds: 40, cniConfDir: '/etc/cni/net.d' });
    expect(Object.isFrozen(options)).toBe(true);
  });

  test.each([
    [{ nodeName: 'Worker_1' }, /nodeName/],
    [{ nodeIPs: ['10.0.0.256'] }, /nodeIPs: "10\.0\.0\.256" is not an IP address/],
    [{ nodeIPs: ['10.0.0.1', '10.0.0.2'] }, /nodeIPs.*at most one address of each IP family/],
    [{ clusterDNS: ['dns'] }, /clusterDNS/],
    [{ nodeLeaseDurationSeconds: 0 }, /nodeLeaseDurationSeconds/],
    [{ netnsPrefix: '../x' }, /netnsPrefix/],
  ])('%j is refused by name', (wrong, problem) => expect(() => podRunnerOptions({ ...given, ...wrong })).toThrow(problem));
});
