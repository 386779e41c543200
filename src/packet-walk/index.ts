export { walkPacket } from './iptables.ts';
export { type IpvsRules, walkIpvsPacket } from './ipvs.ts';
export { type NftPacket, type NftWalkResult, walkNft, walkNftPacket } from './nft.ts';
export { type Outcome, walkIpvsOutcomes, walkNftOutcomes, walkOutcomes } from './outcomes.ts';
export { type Packet, WalkError, type WalkResult, type WalkStep, type WalkWorld } from './packet.ts';
