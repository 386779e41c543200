import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentStatus } from '../../src/agent/agent-status.ts';
import { fetchStatus, startControlServer } from '../../src/agent/control.ts';
import type { AgentStatus } from '../../src/agent/status.ts';

const status: AgentStatus = {
  node: 'worker-1',
  processId: 4711,
  problems: ['dns: caches have not synced'],
  attachments: {
    podCidrs: ['10.244.1.0/24'],
    items: [{ pod: 'default/web-1', interface: 'eth0', addresses: ['10.244.1.2', 'fd00:10:244:1::2'] }],
  },
  routing: {
    asn: 64_512,
    routerId: '192.168.88.12',
    peers: [
      {
        name: 'control',
        address: '192.168.88.11',
        asn: 64_512,
        state: 'Established',
        uptimeSeconds: 1.5,
        received: 2,
        accepted: 2,
        advertised: 2,
        lastError: '',
      },
    ],
    routes: [{ prefix: '10.244.0.0/24', nextHop: '192.168.88.11', peer: 'control', reason: 'only path', inKernel: true }],
    advertised: ['10.244.1.0/24'],
  },
  proxy: {
    mode: 'iptables',
    services: [{ name: 'default/web', protocol: 'TCP', frontends: ['10.96.0.7:80'], backends: ['10.244.1.2:80'] }],
    lastSync: 1_795_000_000_123,
  },
  policies: { items: [{ name: 'default/deny', directions: ['ingress'], pods: ['web-1'] }], droppedIngress: 3, droppedEgress: 0 },
  dns: { zone: 'cluster.local', records: 12, queries: 5_000_000_000, listening: ['192.168.88.12:53'], synced: true },
};

describe('the control API of an agent', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'podwire-control-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gives the status whole, over a socket that only its owner can open', async () => {
    const socket = join(folder, 'agent.sock');
    const server = await startControlServer(socket, () => status);
    try {
      expect(statSync(socket).mode & 0o777).toBe(0o600);
      expect(await fetchStatus(socket)).toEqual(status);
    } finally {
      await server.close();
    }
  });

  it('makes the folder of its socket', async () => {
    const socket = join(folder, 'run', 'podwire', 'agent.sock');
    const server = await startControlServer(socket, () => status);
    expect((await fetchStatus(socket)).node).toBe('worker-1');
    await server.close();
  });

  it('takes the place of a socket that a killed predecessor left', async () => {
    const socket = join(folder, 'agent.sock');
    writeFileSync(socket, '');
    const server = await startControlServer(socket, () => status);
    expect((await fetchStatus(socket)).node).toBe('worker-1');
    await server.close();
    expect(existsSync(socket)).toBe(false);
  });

  it('tells the reason when a report fails, and goes on answering', async () => {
    const socket = join(folder, 'agent.sock');
    let fail = true;
    const server = await startControlServer(socket, () => {
      if (fail) throw new Error('the table cannot be read');
      return status;
    });
    await expect(fetchStatus(socket)).rejects.toThrow('the table cannot be read');
    fail = false;
    expect((await fetchStatus(socket)).processId).toBe(4711);
    await server.close();
  });

  it('that is not there is an error within the time given', async () => {
    await expect(fetchStatus(join(folder, 'none.sock'), 300)).rejects.toThrow();
  });
});

it('a status is made of the reports of the daemons: own prefixes are advertised ones, not routes', () => {
  const made = agentStatus(
    'n',
    1,
    { ok: false, checks: [{ name: 'bgp' }, { name: 'dns', problem: 'not synced' }] },
    {
      cni: () => ({
        network: 'podwire',
        bridge: 'podwire0',
        podCIDRs: ['10.244.1.0/24'],
        conflist: '',
        executable: '',
        attachments: [],
        problems: [],
      }),
      bgp: () => ({
        asn: 64_512,
        listening: [],
        deferring: false,
        peers: [],
        routes: [
          {
            prefix: '10.244.0.0/24',
            nextHop: '192.168.88.11',
            from: 'control',
            asPath: '',
            reason: 'only path',
            others: [],
            stale: false,
            inKernel: true,
          },
          {
            prefix: '10.244.1.0/24',
            nextHop: '192.168.88.12',
            from: 'local',
            asPath: '',
            reason: 'local',
            others: [],
            stale: false,
            inKernel: false,
          },
        ],
        problems: [],
      }),
      proxy: () => ({ mode: 'iptables', services: [], lastSync: 0, families: [] }),
      netpol: () => ({
        table: 't',
        lastSync: 0,
        policies: [{ namespace: 'a', name: 'p', directions: ['egress'], pods: [] }],
        isolated: { ingress: 0, egress: 0 },
        drops: { ingress: 1, egress: 2 },
      }),
      dns: () => ({
        zone: 'z',
        synced: true,
        serial: 1,
        services: 0,
        names: 0,
        records: { A: 1, AAAA: 2, SRV: 3, PTR: 4, CNAME: 5 },
        queries: { total: 9, byRcode: {} },
        listening: [],
        tcpConnections: 0,
        upstreams: [],
      }),
    },
  );
  expect(made.problems).toEqual(['dns: not synced']);
  expect(made.routing.routes.map(({ prefix }) => prefix)).toEqual(['10.244.0.0/24']);
  expect(made.routing.advertised).toEqual(['10.244.1.0/24']);
  expect(made.policies).toEqual({ items: [{ name: 'a/p', directions: ['egress'], pods: [] }], droppedIngress: 1, droppedEgress: 2 });
  expect(made.dns.records).toBe(15);
});
