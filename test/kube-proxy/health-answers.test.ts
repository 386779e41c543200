import { expect, test } from 'vitest';
import { conntrackSettings } from '../../src/kube-proxy/conntrack-settings.ts';
import { healthAnswer, isNodeEligible } from '../../src/kube-proxy/health-answers.ts';
import { resolveProxyOptions } from '../../src/kube-proxy/index.ts';
import { createProblemEvents, healthPortProblems } from '../../src/kube-proxy/problem-events.ts';
import { node, service } from './objects.ts';

const well = { isHealthy: true, isNodeEligible: true, lastUpdated: 1_000, now: Date.UTC(2026, 10, 21, 20, 5, 0, 120) };

test('a proxy in sync answers 200 with the present as its last update', () => {
  expect(healthAnswer('/healthz', well)).toMatchObject({
    code: 200,
    headers: { 'content-type': 'application/json' },
    body: '{"lastUpdated": "2026-11-21 20:05:00.12 +0000 UTC","currentTime": "2026-11-21 20:05:00.12 +0000 UTC", "nodeEligible": true}',
  });
});

test('one that is late answers 503 with the time of its last sync', () => {
  const late = healthAnswer('/livez', { ...well, isHealthy: false });
  expect(late.code).toBe(503);
  expect(JSON.parse(late.body)).toMatchObject({ lastUpdated: '1970-01-01 00:00:01 +0000 UTC' });
  expect(late.body).not.toContain('nodeEligible');
});

test('a node that is to be deleted sends load balancers away, and its proxy still lives', () => {
  const leaving = { ...well, isNodeEligible: false };
  expect([healthAnswer('/healthz', leaving).code, healthAnswer('/livez', leaving).code]).toEqual([503, 200]);
  const kept = node();
  const tainted = { ...kept, spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' as const }] } };
  const deleted = { ...kept, metadata: { ...kept.metadata, deletionTimestamp: '2026-11-21T20:05:00Z' } };
  expect([kept, undefined, tainted, deleted].map(isNodeEligible)).toEqual([true, true, false, false]);
});

test('each problem is one event on its object, until it is gone and comes back', () => {
  const events = createProblemEvents();
  const web = service({});
  const find = (object: string) => (object === 'Service default/web' ? web : undefined);
  const problem = { object: 'Service default/web', field: 'spec.externalIPs', reason: '192.0.2.1:80 is already used by default/other:' };
  const gone = { ...problem, object: 'Service default/gone' };
  expect(events.notesOf([problem, gone], find)).toEqual([
    { regarding: web, type: 'Warning', reason: 'FailedToProgramService', message: `${problem.field}: ${problem.reason}` },
  ]);
  expect(events.notesOf([problem], find)).toEqual([]);
  expect(events.notesOf([], find)).toEqual([]);
  expect(events.notesOf([problem], find)).toHaveLength(1);
});

test('a health check node port that is taken is a problem of its service', () => {
  expect(healthPortProblems(new Map([[31_000, 'EADDRINUSE']]), [{ service: 'default/web', healthCheckNodePort: 31_000 }])).toEqual([
    { object: 'Service default/web', field: 'spec.healthCheckNodePort', reason: 'port 31000: EADDRINUSE' },
  ]);
});

test('connection tracking gets so many entries for each core and a least number; what is 0 stays as it is', () => {
  const settings = (conntrack: object, cores: number) => conntrackSettings(resolveProxyOptions({ nodeName: 'n', conntrack }), cores);
  expect(settings({}, 2)).toEqual({
    most: 131_072,
    sysctls: [
      ['net/netfilter/nf_conntrack_tcp_timeout_established', '86400'],
      ['net/netfilter/nf_conntrack_tcp_timeout_close_wait', '3600'],
    ],
  });
  expect(settings({}, 8).most).toBe(262_144);
  expect(settings({ maxPerCore: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0, udpTimeout: 30_500, tcpBeLiberal: true }, 8)).toEqual({
    most: 0,
    sysctls: [
      ['net/netfilter/nf_conntrack_udp_timeout', '30'],
      ['net/netfilter/nf_conntrack_tcp_be_liberal', '1'],
    ],
  });
});
