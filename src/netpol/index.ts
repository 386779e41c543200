export { compileNetpol } from './compile.ts';
export { NetpolError, type NetpolErrorCode } from './errors.ts';
export type { NetpolInput, PodEndpoint } from './input.ts';
export type { CompiledPolicy, Direction, IsolatedPod, NetpolModel, Peer, PolicyRule, PortMatch } from './model.ts';
export { type NetpolOptions, netpolOptions, netpolOptionsSchema } from './options.ts';
export { dropCounters, renderNft } from './render/nft.ts';
export type { NetpolReport } from './report.ts';
