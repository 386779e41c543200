import { expect, it } from 'vitest';
import { podBandwidth } from '../../src/pod-runner/cni/bandwidth.ts';

it('a pod is limited in the directions that its annotations name', () => {
  expect(podBandwidth({})).toBeUndefined();
  expect(podBandwidth({ 'kubernetes.io/ingress-bandwidth': '10M' })).toEqual({ ingressRate: 10_000_000, ingressBurst: 1_000_000 });
  expect(podBandwidth({ 'kubernetes.io/ingress-bandwidth': '1Mi', 'kubernetes.io/egress-bandwidth': '2G' })).toEqual({
    ingressRate: 1_048_576,
    // Sixteen packets.
    ingressBurst: 192_000,
    egressRate: 2_000_000_000,
    egressBurst: 200_000_000,
  });
});

it.each(['fast', '999', '2P', ''])('a limit of %j is refused, and the annotation named', (text) => {
  expect(() => podBandwidth({ 'kubernetes.io/egress-bandwidth': text })).toThrow(
    /annotation kubernetes\.io\/egress-bandwidth: .* from 1k to 1P/,
  );
});
