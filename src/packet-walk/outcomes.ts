import type { IptablesRuleset } from '../dataplane/iptables.ts';
import { walkPacket } from './iptables.ts';
import type { Packet, WalkResult, WalkWorld } from './packet.ts';

/** One way the rules may go, and how likely it is (0 to 1). */
export interface Outcome {
  readonly probability: number;
  readonly result: WalkResult;
}

/**
 * Every outcome that the chance in the rules (`-m statistic`) allows, each way walked once. Nothing is remembered between them.
 * @throws WalkError as walkPacket does, and RangeError when there are more than `limit` ways.
 */
export function walkOutcomes(
  rules: IptablesRuleset,
  packet: Packet,
  world: Omit<WalkWorld, 'choose' | 'recent'> = { addresses: [] },
  limit = 4_096,
): Outcome[] {
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
    const result = walkPacket(rules, packet, { ...world, choose, recent: new Map() });
    outcomes.push({ probability, result });
  }
  return outcomes;
}
