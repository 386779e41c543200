export { type BgpPlan, compile } from './compile.ts';
export { BgpError, type BgpErrorCode } from './errors.ts';
export type { BgpInput } from './input.ts';
export { type BgpOptions, resolveBgpOptions, type StaticPeer } from './options.ts';
export { diffKernelRoutes, type KernelRoutes, renderKernelRoutes } from './render/kernel-routes.ts';
export { type BgpReport, type RouteReport, reportRoutes } from './report.ts';
export * from './rib/index.ts';
export type { PeerReport } from './speaker/types.ts';
