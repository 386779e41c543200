import { quantityNanos } from '../../objects/quantity.ts';
import { PodRunnerError } from '../errors.ts';

/** The capability `bandwidth` (CNI conventions): bits per second, and bits. */
export interface PodBandwidth {
  readonly ingressRate?: number;
  readonly ingressBurst?: number;
  readonly egressRate?: number;
  readonly egressBurst?: number;
}

/** What kubelet takes, in bits per second. */
const [least, most] = [1_000, 1e15];

/** Bits; sixteen full packets, so that a low rate does not stop them altogether. */
const leastBurst = 16 * 1_500 * 8;

/**
 * The limits that a pod's annotations `kubernetes.io/ingress-bandwidth` and `kubernetes.io/egress-bandwidth` ask for (quantities of bits per
 * second); undefined without any. The burst is what the rate allows in a tenth of a second.
 * @throws PodRunnerError for what is no quantity, or is beyond what kubelet takes
 */
export function podBandwidth(annotations: Readonly<Record<string, string>>): PodBandwidth | undefined {
  const rateOf = (direction: 'ingress' | 'egress'): number | undefined => {
    const name = `kubernetes.io/${direction}-bandwidth`;
    const text = annotations[name];
    if (text === undefined) return undefined;
    const nanos = quantityNanos(text);
    const rate = nanos === undefined ? Number.NaN : Math.ceil(Number(nanos) / 1e9);
    if (rate >= least && rate <= most) return rate;
    throw new PodRunnerError('network', `annotation ${name}: ${JSON.stringify(text)} is not a quantity from 1k to 1P`);
  };
  const [ingressRate, egressRate] = [rateOf('ingress'), rateOf('egress')];
  if (ingressRate === undefined && egressRate === undefined) return undefined;
  const burst = (rate: number): number => Math.max(leastBurst, Math.ceil(rate / 10));
  return {
    ...(ingressRate === undefined ? {} : { ingressRate, ingressBurst: burst(ingressRate) }),
    ...(egressRate === undefined ? {} : { egressRate, egressBurst: burst(egressRate) }),
  };
}
