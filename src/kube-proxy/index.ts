export { compileProxy, createProxyCompiler } from './compile.ts';
export { clusterChain, endpointChain, externalChain, firewallChain, localChain } from './chain-names.ts';
export { ProxyError, type ProxyErrorCode } from './errors.ts';
export { type NodeFacts, nodeFacts, type ProxyInput } from './input.ts';
export * from './model.ts';
export { type ProxyOptions, type ProxyOptionsInput, proxyOptionsSchema, resolveProxyOptions } from './options.ts';
export { createIptablesRenderer, emptyIptables, proxyOwner, renderIptables } from './render/iptables.ts';
export { type Flow, resolveTraffic, type TrafficDecision, type TrafficSetting } from './resolve-traffic.ts';
export type { FamilyReport, ProxyReport, ServiceReport } from './report.ts';
