import Type, { type Static, type TSchema } from 'typebox';

const nullable = <Schema extends TSchema>(schema: Schema) => Type.Optional(Type.Union([schema, Type.Null()]));
const text = () => nullable(Type.String({ maxLength: 4_096 }));
const texts = () => nullable(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 1_000 }));
const flag = () => nullable(Type.Boolean());
const integer = () => nullable(Type.Integer({ minimum: -0x8000_0000, maximum: 0x7fff_ffff }));
const number = () => nullable(Type.Number());
/** metav1.Duration: `30s`. */
const duration = () => nullable(Type.String({ maxLength: 100 }));
const struct = <Fields extends Parameters<typeof Type.Object>[0]>(fields: Fields) => nullable(Type.Object(fields));
const anything = () => Type.Optional(Type.Unknown());

/** The fields of KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1, as kube-proxy 1.36 has them; null is as good as absent. */
export const configurationSchema = Type.Object({
  apiVersion: Type.String(),
  kind: Type.String(),
  featureGates: nullable(Type.Record(Type.String(), Type.Boolean())),
  clientConnection: struct({ kubeconfig: text(), acceptContentTypes: text(), contentType: text(), qps: number(), burst: integer() }),
  logging: struct({ format: text(), flushFrequency: anything(), verbosity: integer(), vmodule: anything(), options: anything() }),
  hostnameOverride: text(),
  bindAddress: text(),
  bindAddressHardFail: flag(),
  healthzBindAddress: text(),
  metricsBindAddress: text(),
  enableProfiling: flag(),
  showHiddenMetricsForVersion: text(),
  mode: text(),
  iptables: struct({
    masqueradeBit: integer(),
    masqueradeAll: flag(),
    localhostNodePorts: flag(),
    syncPeriod: duration(),
    minSyncPeriod: duration(),
  }),
  ipvs: struct({
    syncPeriod: duration(),
    minSyncPeriod: duration(),
    scheduler: text(),
    excludeCIDRs: texts(),
    strictARP: flag(),
    tcpTimeout: duration(),
    tcpFinTimeout: duration(),
    udpTimeout: duration(),
  }),
  nftables: struct({ masqueradeBit: integer(), masqueradeAll: flag(), syncPeriod: duration(), minSyncPeriod: duration() }),
  winkernel: anything(),
  detectLocalMode: text(),
  detectLocal: struct({ bridgeInterface: text(), interfaceNamePrefix: text() }),
  clusterCIDR: text(),
  nodePortAddresses: texts(),
  oomScoreAdj: integer(),
  conntrack: struct({
    maxPerCore: integer(),
    min: integer(),
    tcpEstablishedTimeout: duration(),
    tcpCloseWaitTimeout: duration(),
    tcpBeLiberal: flag(),
    udpTimeout: duration(),
    udpStreamTimeout: duration(),
  }),
  configSyncPeriod: duration(),
  portRange: text(),
  windowsRunAsService: flag(),
});

export type ConfigurationFile = Static<typeof configurationSchema>;

/** Fields that are accepted and change nothing here, with the reason. */
export const withoutEffect: Readonly<Record<string, string>> = {
  featureGates: 'nothing here is behind a feature gate',
  'clientConnection.acceptContentTypes': 'objects are read as JSON',
  'clientConnection.contentType': 'objects are written as JSON',
  'clientConnection.qps': 'the proxy watches, and writes events only',
  'clientConnection.burst': 'the proxy watches, and writes events only',
  'logging.format': 'the log is JSON lines',
  'logging.flushFrequency': 'every line is written at once',
  'logging.vmodule': 'the log has one level',
  'logging.options': 'the log is JSON lines',
  enableProfiling: 'use node --inspect',
  showHiddenMetricsForVersion: 'no metric is hidden',
  winkernel: 'this is Linux',
  windowsRunAsService: 'this is Linux',
  configSyncPeriod: 'watches need no periodic resync',
  portRange: 'it was for the userspace mode',
};
