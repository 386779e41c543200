export { walkPacket } from './iptables.ts';
export { type NftPacket, type NftWalkResult, walkNft } from './nft.ts';
export { type Outcome, walkOutcomes } from './outcomes.ts';
export { type Packet, WalkError, type WalkResult, type WalkStep, type WalkWorld } from './packet.ts';
