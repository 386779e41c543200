import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { type ClusterCidr, NodeCidrError, readNodeCidrOptions } from '../ipam/index.ts';
import type { Prefix } from '../net/index.ts';
import { ControllersError } from './errors.ts';
import { type AddressRange, checkPools, readPools } from './load-balancers/pool.ts';

const closed = { additionalProperties: false };
const duration = (milliseconds: number) => Type.Integer({ minimum: 100, maximum: 86_400_000, default: milliseconds });

/** Options of the controllers. Durations are milliseconds. */
const controllersOptionsSchema = Type.Object(
  {
    /** Where nodes' pod CIDRs come from: any number of each family; the first one's family is the primary one. */
    clusterCidrs: Type.Array(Type.String(), { default: ['10.244.0.0/16', 'fd00:10:244::/56'] }),
    serviceCidrs: Type.Array(Type.String(), { default: ['10.96.0.0/16', 'fd00:10:96::/112'] }),
    nodeMaskSizeIPv4: Type.Integer({ minimum: 1, maximum: 30, default: 24 }),
    nodeMaskSizeIPv6: Type.Integer({ minimum: 1, maximum: 126, default: 64 }),
    /** How long a node's Lease may go without renewal before the node counts as gone. */
    nodeMonitorGracePeriod: duration(10_000),
    leaderElect: Type.Boolean({ default: true }),
    leaseDuration: duration(15_000),
    renewDeadline: duration(10_000),
    retryPeriod: duration(2_000),
    /** How many pods that have ended are kept; 0 keeps all. */
    terminatedPodThreshold: Type.Integer({ minimum: 0, maximum: 10_000_000, default: 12_500 }),
    /** Where Services of type LoadBalancer get their addresses from: CIDRs or FIRST-LAST; none leaves such Services to others. */
    loadBalancerPools: Type.Array(Type.String(), { default: [] }),
    /** The spec.loadBalancerClass that the pools serve, besides Services without a class. */
    loadBalancerClass: Type.String({ minLength: 1, default: 'podwire.io/pool' }),
    /** PEM, published to every namespace as the ConfigMap kube-root-ca.crt; empty publishes none. */
    rootCertificate: Type.String({ default: '' }),
    /** PEM of the key that signs the tokens of Secrets of type kubernetes.io/service-account-token; empty leaves such Secrets as they are. */
    serviceAccountPrivateKey: Type.String({ default: '' }),
  },
  closed,
);

export type ControllersOptions = Readonly<Static<typeof controllersOptionsSchema>>;

/** Options that were read and found to fit together. */
export interface CheckedOptions extends ControllersOptions {
  readonly pools: readonly AddressRange[];
  readonly ranges: { readonly clusterCidrs: readonly ClusterCidr[]; readonly serviceCidrs: readonly Prefix[] };
}

/**
 * Fills in defaults, checks and freezes.
 * @throws ControllersError naming the option and the reason; for overlapping ranges naming both.
 */
export function controllersOptions(given: Partial<ControllersOptions> = {}): CheckedOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const filled = Value.Default(controllersOptionsSchema, structuredClone(defined)) as Record<string, unknown>;
  const [first] = Value.Errors(controllersOptionsSchema, filled);
  if (first) throw new ControllersError('bad-option', `controllers option ${first.instancePath.slice(1) || 'options'}: ${first.message}`);
  const options = filled as unknown as ControllersOptions;
  const { leaseDuration, renewDeadline, retryPeriod } = options;
  if (leaseDuration <= renewDeadline)
    throw new ControllersError(
      'bad-option',
      `controllers option leaseDuration: ${leaseDuration} ms must be more than renewDeadline, ${renewDeadline} ms`,
    );
  if (renewDeadline <= retryPeriod)
    throw new ControllersError(
      'bad-option',
      `controllers option renewDeadline: ${renewDeadline} ms must be more than retryPeriod, ${retryPeriod} ms`,
    );
  const pools = readPools(options.loadBalancerPools);
  try {
    const ranges = readNodeCidrOptions({
      clusterCidrs: options.clusterCidrs,
      serviceCidrs: options.serviceCidrs,
      nodeMaskSizes: { 4: options.nodeMaskSizeIPv4, 6: options.nodeMaskSizeIPv6 },
    });
    for (const { prefix } of ranges.clusterCidrs) checkPools(pools, prefix, 'cluster CIDR');
    for (const prefix of ranges.serviceCidrs) checkPools(pools, prefix, 'service CIDR');
    return Object.freeze({ ...options, ranges, pools });
  } catch (error) {
    if (!(error instanceof NodeCidrError)) throw error;
    throw new ControllersError(error.code === 'overlap' ? 'overlap' : 'bad-option', error.message, { cause: error });
  }
}
