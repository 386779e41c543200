import type { TokenBucket } from '../dataplane/qdisc.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { type Fields, invalid, listField, numberField, objectField } from './fields.ts';

/** Limits of a pod, seen from the pod. */
export interface Bandwidth {
  /** What it receives: held at the node's end of its link. */
  readonly ingress?: TokenBucket;
  /** What it sends: held at its own end, which a pod without CAP_NET_ADMIN cannot change, and which needs no ifb device. */
  readonly egress?: TokenBucket;
}

const keys = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'] as const;

/** tc takes at most this many bytes. */
const maxBurstBytes = 2 ** 32 - 1;

/**
 * The options of the reference bandwidth plugin (bits per second, bits), or else the capability `bandwidth` of the runtime.
 * @throws CniError 7 naming the key; 2 for limits that hold for some destinations only
 */
export function parseBandwidth(fields: Fields): Bandwidth {
  const offered = objectField(objectField(fields, 'runtimeConfig') ?? {}, 'bandwidth', 'runtimeConfig.bandwidth');
  const own = keys.some((key) => fields[key] !== undefined && fields[key] !== null);
  const [from, path] = own || !offered ? [fields, ''] : [offered, 'runtimeConfig.bandwidth.'];
  for (const key of ['shapedSubnets', 'unshapedSubnets']) {
    if (listField(from, key, `${path}${key}`).length > 0)
      throw new CniError(
        cniErrorCodes.unsupportedField,
        `${path}${key}: is not supported by this plugin; limits hold for all of a pod's traffic`,
      );
  }
  const ingress = bucketOf(from, path, 'ingress');
  const egress = bucketOf(from, path, 'egress');
  return { ...(ingress ? { ingress } : {}), ...(egress ? { egress } : {}) };
}

function bucketOf(from: Fields, path: string, direction: 'ingress' | 'egress'): TokenBucket | undefined {
  const [rateKey, burstKey] = [`${direction}Rate`, `${direction}Burst`];
  const rate = numberField(from, rateKey, { min: 0, max: Number.MAX_SAFE_INTEGER }, `${path}${rateKey}`) ?? 0;
  const bits = numberField(from, burstKey, { min: 0, max: maxBurstBytes * 8 }, `${path}${burstKey}`) ?? 0;
  if (rate === 0 && bits === 0) return undefined;
  if (bits === 0) throw invalid(`${path}${rateKey}`, rate, `needs ${burstKey} beside it`);
  if (rate === 0) throw invalid(`${path}${burstKey}`, bits, `needs ${rateKey} beside it`);
  if (rate < 8) throw invalid(`${path}${rateKey}`, rate, 'is less than the 8 bits per second that the kernel can keep');
  return { rate, burst: Math.max(1, Math.floor(bits / 8)) };
}
