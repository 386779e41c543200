import { describe, expect, it } from 'vitest';
import { renderStatus } from '../../src/cli/lab-text.ts';
import type { LabStatus, NodeStatus } from '../../src/lab/status.ts';

const node: NodeStatus = {
  name: 'worker-1',
  ready: 'Ready',
  addresses: ['192.168.88.12'],
  podCIDRs: ['10.244.1.0/24'],
  namespace: 'pw.lab.worker-1',
  daemons: [{ name: 'agent', pid: 7, running: true, restarts: 1, startedAt: '2026-01-01T00:00:00Z' }],
  agent: {
    node: 'worker-1',
    processId: 7,
    problems: [],
    attachments: { podCidrs: ['10.244.1.0/24'], items: [] },
    routing: {
      asn: 64_512,
      routerId: '192.168.88.12',
      peers: [
        {
          name: 'control',
          address: '192.168.88.11',
          asn: 64_512,
          state: 'Established',
          uptimeSeconds: 3,
          received: 2,
          accepted: 2,
          advertised: 2,
          lastError: 'connection refused',
        },
        {
          name: 'worker-2',
          address: '192.168.88.13',
          asn: 64_512,
          state: 'Active',
          uptimeSeconds: 0,
          received: 0,
          accepted: 0,
          advertised: 0,
          lastError: 'hold timer expired',
        },
      ],
      routes: [],
      advertised: [],
    },
    proxy: { mode: 'iptables', services: [], lastSync: 0 },
    policies: { items: [], droppedIngress: 0, droppedEgress: 0 },
    dns: { zone: 'cluster.local', records: 4, queries: 0, listening: [], synced: true },
  },
};
const lab = (...nodes: NodeStatus[]): LabStatus => ({ lab: 'lab', supervised: true, apiServer: 'https://127.0.0.1:6443', nodes });

describe('lab status', () => {
  it('is one line a node', () => {
    const [, , header, line] = renderStatus(lab(node), 'table').split('\n');
    expect(header).toMatch(/^NODE +STATUS +ADDRESSES +POD CIDRS +DAEMONS +PODS +PEERS +ROUTES +SERVICES +POLICIES +DNS$/);
    expect(line).toMatch(/^worker-1 +Ready +192\.168\.88\.12 +10\.244\.1\.0\/24 +1\/1 \(1 restarts\) +0 +1\/2 up +0 +0 +0 +4 records$/);
  });

  it('-o wide shows what went wrong with a peer that is not up, and not what is over', () => {
    const text = renderStatus(lab(node), 'wide');
    expect(text).toContain('hold timer expired');
    expect(text).not.toContain('connection refused');
  });

  it('shows an agent that does not answer, and why', () => {
    const { agent: _, ...silent } = node;
    const text = renderStatus(lab({ ...silent, problem: 'the agent does not answer on /x/agent.sock (ENOENT)' }), 'table');
    expect(text).toMatch(/worker-1 +Ready .* \? +\? +\? +\? +\? +\?/);
    expect(text).toContain('worker-1: the agent does not answer on /x/agent.sock (ENOENT)');
  });

  it('is whole in JSON', () => {
    expect(JSON.parse(renderStatus(lab(node), 'json'))).toEqual(lab(node));
  });
});
