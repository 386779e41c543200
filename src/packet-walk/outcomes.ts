import type { IptablesRuleset } from '../dataplane/iptables.ts';
import type { NftTable } from '../dataplane/nft.ts';
import { walkPacket } from './iptables.ts';
import { type IpvsRules, walkIpvsPacket } from './ipvs.ts';
import { walkNftPacket } from './nft.ts';
import type { Packet, WalkResult, WalkWorld } from './packet.ts';

/** One way the rules may go, and how likely it is (0 to 1). */
export interface Outcome {
  readonly probability: number;
  readonly result: WalkResult;
}

/** More ways than these through the rules are not walked. */
const defaultLimit = 4_096;

/**
 * Every outcome that the chance in the rules (`-m statistic`) allows, each way walked once. Nothing is remembered between them.
 * @throws WalkError as walkPacket does, and RangeError when there are more than `limit` ways.
 */
export const walkOutcomes = (
  rules: IptablesRuleset,
  packet: Packet,
  world: Omit<WalkWorld, 'choose' | 'recent'> = { addresses: [] },
  limit = defaultLimit,
): Outcome[] => everyOutcome((choose) => walkPacket(rules, packet, { ...world, choose, recent: new Map() }), limit);

/** As {@link walkOutcomes} for nftables, whose chance is `numgen random`. */
export const walkNftOutcomes = (
  tables: readonly NftTable[],
  packet: Packet,
  world: Omit<WalkWorld, 'choose' | 'recent'> = { addresses: [] },
  limit = defaultLimit,
): Outcome[] => everyOutcome((choose) => walkNftPacket(tables, packet, { ...world, choose }), limit);

/** As {@link walkOutcomes} for IPVS, whose chance is the scheduler's: any real server may be the next one's. */
export const walkIpvsOutcomes = (
  rules: IpvsRules,
  packet: Packet,
  world: Omit<WalkWorld, 'choose' | 'recent'> = { addresses: [] },
  limit = defaultLimit,
): Outcome[] => everyOutcome((choose) => walkIpvsPacket(rules, packet, { ...world, choose, recent: new Map() }), limit);

function everyOutcome(walk: (choose: (odds: number) => boolean) => WalkResult, limit: number): Outcome[] {
  const outcomes: Outcome[] = [];
  const pending: boolean[][] = [[]];
  for (let decided = pending.pop(); decided; decided = pending.pop()) {
    if (outcomes.length >= limit) throw new RangeError(`more than ${limit} ways through the rules`);
    const choices = decided;
    let at = 0;
    let probability = 1;
    const choose = (odds: number): boolean => {
      if (at === choices.length) {
        if (odds < 1) pending.push([...choices.slice(0, at), false]);
        choices.push(true);
      }
      const choice = choices[at++]!;
      probability *= choice ? odds : 1 - odds;
      return choice;
    };
    const result = walk(choose);
    outcomes.push({ probability, result });
  }
  return outcomes;
}
