import { describe, expect, it } from 'vitest';
import { parsePrefix, prefixContains, parseAddress } from '../../src/net/index.ts';
import type { AnyObject } from '../../src/objects/index.ts';
import { openEmbeddedStore } from '../../src/storage/index.ts';
import { inDefault, startTestServer, temporaryFolder } from './harness.ts';

const service = (name: string, spec: object = {}): AnyObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...spec },
});
const path = inDefault('services');
const merge = { 'content-type': 'application/merge-patch+json' };

describe('Services', () => {
  it('get a cluster IP of their range, kept over updates and given back on deletion', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', path, service('web'));
    expect(prefixContains(parsePrefix('10.96.0.0/16'), parseAddress(made.spec.clusterIP))).toBe(true);
    const updated = await api.expect(200, 'PUT', `${path}/web`, service('web', { ports: [{ port: 81 }] }));
    expect(updated.spec.clusterIP).toBe(made.spec.clusterIP);
    await api.expect(422, 'POST', path, service('thief', { clusterIP: made.spec.clusterIP }));
    await api.expect(200, 'DELETE', `${path}/web`);
    await api.expect(201, 'POST', path, service('heir', { clusterIP: made.spec.clusterIP }));
  });

  it('get an address of each family when they ask for both', async () => {
    const api = await startTestServer();
    const made = await api.expect(201, 'POST', path, service('web', { ipFamilyPolicy: 'PreferDualStack' }));
    expect(made.spec.ipFamilies).toEqual(['IPv4', 'IPv6']);
    expect(made.spec.clusterIPs[1]).toMatch(/^fd00:10:96::/);
  });

  it('never share an address or node port, however many are created at once', async () => {
    const api = await startTestServer({ serviceNodePortRange: { first: 30_000, last: 30_049 } });
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, i) => api.expect(201, 'POST', path, service(`s${i}`, { type: 'NodePort' }))),
    );
    expect(new Set(made.map(({ spec }) => spec.clusterIP)).size).toBe(50);
    expect(new Set(made.map(({ spec }) => spec.ports[0].nodePort)).size).toBe(50);
    const full = await api.expect(422, 'POST', path, service('one-more', { type: 'NodePort' }));
    expect(full.message).toContain('range is full');
    await api.expect(200, 'DELETE', `${path}/s7`);
    const next = await api.expect(201, 'POST', path, service('next', { type: 'NodePort' }));
    expect(next.spec.ports[0].nodePort).toBe(made[7].spec.ports[0].nodePort);
  });

  it('give their node port back when they become ClusterIP', async () => {
    const api = await startTestServer({ serviceNodePortRange: { first: 30_000, last: 30_000 } });
    await api.expect(201, 'POST', path, service('a', { type: 'NodePort' }));
    await api.expect(422, 'POST', path, service('b', { type: 'NodePort' }));
    await api.expect(200, 'PATCH', `${path}/a`, { spec: { type: 'ClusterIP' } }, merge);
    await api.expect(201, 'POST', path, service('b', { type: 'NodePort' }));
  });

  it('hold what they held after a restart', async () => {
    const folder = temporaryFolder();
    const first = await startTestServer({}, await openEmbeddedStore({ folder }));
    const made = await first.expect(201, 'POST', path, service('a', { type: 'NodePort' }));
    await first.server.stop();
    const second = await startTestServer({}, await openEmbeddedStore({ folder }));
    const refused = await second.expect(422, 'POST', path, service('b', { clusterIP: made.spec.clusterIP }));
    expect(refused.message).toContain('provided IP is already allocated');
  });
});

describe('the Service kubernetes', () => {
  it('leads to the advertised address', async () => {
    const api = await startTestServer();
    const port = api.server.addresses[0]!.port;
    expect((await api.expect(200, 'GET', `${path}/kubernetes`)).spec).toMatchObject({
      clusterIP: '10.96.0.1',
      ports: [{ name: 'https', port: 443, targetPort: port }],
    });
    expect((await api.expect(200, 'GET', inDefault('endpoints', 'kubernetes'))).subsets).toEqual([
      { addresses: [{ ip: '192.168.88.11' }], ports: [{ name: 'https', port, protocol: 'TCP' }] },
    ]);
    const slice = await api.expect(200, 'GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes');
    expect(slice).toMatchObject({ addressType: 'IPv4', endpoints: [{ addresses: ['192.168.88.11'], conditions: { ready: true } }] });
    expect(slice.metadata.labels['kubernetes.io/service-name']).toBe('kubernetes');
  });

  it('is written once, and follows the server to another address', async () => {
    const folder = temporaryFolder();
    const first = await startTestServer({}, await openEmbeddedStore({ folder }));
    await first.server.stop();
    const store = await openEmbeddedStore({ folder });
    const second = await startTestServer({ advertiseAddress: '192.168.88.99' }, store);
    expect((await second.expect(200, 'GET', inDefault('endpoints', 'kubernetes'))).subsets[0].addresses).toEqual([{ ip: '192.168.88.99' }]);
  });
});
