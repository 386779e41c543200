import { expect, it } from 'vitest';
import { podTraffic } from '../../src/agent/options.ts';

it('the service proxy knows pods by the cluster CIDRs, or by those of its node when a family has several', () => {
  expect(podTraffic(['10.244.0.0/16', 'fd00:10:244::/56'])).toEqual({ clusterCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'] });
  expect(podTraffic(['10.244.0.0/16', 'fd00:10:244::/56', '10.250.0.0/16'])).toEqual({ detectLocalMode: 'NodeCIDR' });
});
