import type { Test } from 'tap';
import { createCniAgentNode } from './cni-agent-node.ts';
import { type CniNode, createCniNode } from './cni-node.ts';

/** The executable alone, or the launcher with an agent that runs. */
export const tiers = ['alone', 'agent'] as const;
export type Tier = (typeof tiers)[number];

/** A node of the tier; its end is the test's. `prepare` gets its data folder before anything runs, and may return what is to be done at the end. */
export async function nodeOfTier(t: Test, label: string, tier: Tier, prepare?: (node: CniNode) => () => void): Promise<CniNode> {
  const node = tier === 'alone' ? createCniNode(`${label}-${tier}`) : createCniAgentNode(`${label}-${tier}`);
  const end = prepare?.(node);
  t.teardown(() => {
    end?.();
    node.close();
  });
  if (tier === 'agent') await (node as ReturnType<typeof createCniAgentNode>).startAgent();
  return node;
}

/** Files that tell of attachments: reservations, host ports, and what another IPAM plugin has written below `theirs`. */
export const heldFiles = (node: CniNode): string[] =>
  node.files().filter((file) => /\/(owners|claims|theirs\/[^/]+)\/[^/]+$/.test(file) && !/\/(last_reserved_ip\.\d|lock)$/.test(file));

/** What the node's kernel and files know of attachments, without what time changes. */
export function stateOf(node: CniNode): { links: string[]; routes: string[]; neighbours: string[]; rules: string; files: string[] } {
  const lines = (text: string): string[] =>
    text
      .split('\n')
      .map((line) => line.replace(' linkdown', '').trim())
      .filter((line) => line !== '' && !line.startsWith('fe80'))
      .sort();
  return {
    links: node.links().sort(),
    routes: lines(`${node.exec('ip route show')}\n${node.exec('ip -6 route show')}`),
    neighbours: lines(node.exec('ip neigh show'))
      .filter((line) => line.includes('lladdr'))
      .map((line) => line.replace(/ (ref|used|extern_learn|PERMANENT|REACHABLE|STALE|DELAY|PROBE)\b.*/, '')),
    // Sets are listed in any order.
    rules: node
      .exec('nft list ruleset')
      .replace(/packets \d+ bytes \d+/g, '')
      .split(/[\s,]+/)
      .sort()
      .join(' '),
    files: heldFiles(node).sort(),
  };
}
