import { expect, test } from 'vitest';
import { clusterChain, endpointChain } from '../../src/kube-proxy/index.ts';

test("chain names are kube-proxy's, so that people find the chains they know", () => {
  // As every cluster shows them.
  expect(clusterChain({ name: 'default/kubernetes:https', protocol: 'TCP' })).toBe('KUBE-SVC-NPX46M4PTMTKRN6Y');
  expect(clusterChain({ name: 'kube-system/kube-dns:dns', protocol: 'UDP' })).toBe('KUBE-SVC-TCOU7JCQXEZGVUNU');
  expect(endpointChain({ name: 'ns1/svc1:p80', protocol: 'TCP' }, { text: '10.180.0.1:80' })).toBe('KUBE-SEP-SXIVWICOYRO3J4NJ');
});
