import Type, { type Static } from 'typebox';

const name = (what: string, longest: number) =>
  Type.String({
    pattern: '^[a-z]([a-z0-9-]*[a-z0-9])?$',
    maxLength: longest,
    description: `${what}: lower-case letters, digits and dashes, starting with a letter`,
  });
const strict = { additionalProperties: false } as const;
const cidrs = Type.Array(Type.String(), { minItems: 1, maxItems: 2, description: 'one CIDR, or one of each IP family' });
const seconds = Type.Integer({ minimum: 1, maximum: 3600 });

/** A lab file (YAML). Every field is optional; unknown fields are errors. */
export const labFileSchema = Type.Object(
  {
    name: Type.Optional(name('lab name', 20)),
    nodes: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: name('node name', 40),
            labels: Type.Optional(Type.Record(Type.String(), Type.String())),
            runtime: Type.Optional(
              Type.Enum(['netns', 'cri'], {
                description: 'what runs the pods: network namespaces with programs of the host, or a containerd of the node',
              }),
            ),
            images: Type.Optional(
              Type.Array(Type.String({ pattern: '^/', maxLength: 4096 }), {
                maxItems: 64,
                description: 'archives of images (docker save, OCI layout) that the containerd of the node gets',
              }),
            ),
          },
          strict,
        ),
        { minItems: 1, maxItems: 64, description: 'the first node carries the control plane' },
      ),
    ),
    network: Type.Optional(
      Type.Object(
        {
          underlayCIDRs: Type.Optional(cidrs),
          podCIDRs: Type.Optional(
            Type.Array(Type.String(), {
              minItems: 1,
              maxItems: 16,
              description: 'one CIDR or several of each IP family, used one after the other',
            }),
          ),
          serviceCIDRs: Type.Optional(cidrs),
          loadBalancerPools: Type.Optional(
            Type.Array(Type.String(), { maxItems: 16, description: 'CIDRs or FIRST-LAST; addresses of Services of type LoadBalancer' }),
          ),
          nodeMaskSizeIPv4: Type.Optional(Type.Integer({ minimum: 8, maximum: 30 })),
          nodeMaskSizeIPv6: Type.Optional(Type.Integer({ minimum: 16, maximum: 126 })),
          clusterDomain: Type.Optional(Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$', maxLength: 200 })),
          clusterDNS: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 2 })),
          mtu: Type.Optional(Type.Integer({ minimum: 1280, maximum: 9000 })),
        },
        strict,
      ),
    ),
    apiServer: Type.Optional(
      Type.Object(
        {
          port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, description: 'loopback port on the host; 0 takes a free one' })),
        },
        strict,
      ),
    ),
    timers: Type.Optional(
      Type.Object(
        {
          nodeLeaseSeconds: Type.Optional(seconds),
          nodeMonitorGraceSeconds: Type.Optional(seconds),
          bgpHoldSeconds: Type.Optional(Type.Integer({ minimum: 3, maximum: 3600, description: 'RFC 4271: at least 3' })),
          bgpRestartSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 4095 })),
        },
        strict,
      ),
    ),
  },
  strict,
);

export type LabFile = Static<typeof labFileSchema>;

/** What a lab is when its file says nothing. */
export const labDefaults = {
  name: 'lab',
  nodes: [{ name: 'control' }, { name: 'worker-1' }, { name: 'worker-2' }],
  network: {
    underlayCIDRs: ['192.168.88.0/24', 'fd00:88::/64'],
    podCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'],
    serviceCIDRs: ['10.96.0.0/16', 'fd00:10:96::/112'],
    nodeMaskSizeIPv4: 24,
    nodeMaskSizeIPv6: 64,
    clusterDomain: 'cluster.local',
    mtu: 1500,
  },
  apiServer: { port: 6443 },
  timers: { nodeLeaseSeconds: 8, nodeMonitorGraceSeconds: 10, bgpHoldSeconds: 9, bgpRestartSeconds: 15 },
} as const;
