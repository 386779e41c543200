import { CommandError, type CommandRunner } from './command-runner.ts';

/** Drops frames that come into a bridge by a link with another source MAC than the one that the link is allowed. */
export interface MacGuard {
  /** From now on the link may send from this MAC only. The link need not exist yet. */
  allow(link: string, mac: string): Promise<void>;
  /** Forgets what was said of the link; a link that nothing was said of is fine. */
  forget(link: string): Promise<void>;
  /** The MACs that the link is allowed; undefined when it is not guarded. */
  read(link: string): Promise<readonly string[] | undefined>;
  /** All links that are guarded. */
  guarded(): Promise<readonly string[]>;
}

const table = 'bridge podwire-source';

/** The table as it must be, whatever was there of it; a transaction. The priority is that of `dstnat` in bridges: before anything is decided. */
const setUp = [
  `add table ${table}`,
  `add set ${table} guarded { type ifname; }`,
  `add set ${table} allowed { type ifname . ether_addr; }`,
  `add chain ${table} prerouting { type filter hook prerouting priority -300; policy accept; }`,
  `flush chain ${table} prerouting`,
  `add rule ${table} prerouting iifname @guarded iifname . ether saddr != @allowed counter drop`,
];

/** A guard by nftables of the bridge family, in the network namespace of the runner. @throws CommandError */
export function createMacGuard(runner: CommandRunner): MacGuard {
  const apply = async (lines: readonly string[]): Promise<void> => {
    await runner.run('nft', ['--file', '-'], { input: `${lines.join('\n')}\n` });
  };
  const stateOf = async (link: string): Promise<{ hasRule: boolean; isGuarded: boolean; allowed: readonly string[] }> => {
    const found = await list(runner);
    const allowed = (found.get('allowed') ?? []).flatMap((element) => {
      const pair = (element as { concat?: readonly string[] }).concat;
      return pair?.[0] === link && pair[1] !== undefined ? [pair[1]] : [];
    });
    return { hasRule: found.has('rule'), isGuarded: (found.get('guarded') ?? []).includes(link), allowed };
  };
  return {
    async allow(link, mac) {
      const before = (await stateOf(link)).allowed;
      await apply([
        ...setUp,
        ...before.filter((old) => old !== mac).map((old) => `delete element ${table} allowed { ${quoted(link)} . ${old} }`),
        `add element ${table} guarded { ${quoted(link)} }`,
        `add element ${table} allowed { ${quoted(link)} . ${mac} }`,
      ]);
    },
    async forget(link) {
      const { isGuarded, allowed } = await stateOf(link);
      if (!isGuarded && allowed.length === 0) return;
      await apply([
        ...(isGuarded ? [`delete element ${table} guarded { ${quoted(link)} }`] : []),
        ...allowed.map((mac) => `delete element ${table} allowed { ${quoted(link)} . ${mac} }`),
      ]);
    },
    async read(link) {
      const { hasRule, isGuarded, allowed } = await stateOf(link);
      return hasRule && isGuarded ? allowed : undefined;
    },
    guarded: async () => ((await list(runner)).get('guarded') ?? []).filter((name) => typeof name === 'string'),
  };
}

/** @throws RangeError for what is no name of a link */
function quoted(link: string): string {
  if (!/^[^\s"/\\]{1,15}$/.test(link)) throw new RangeError(`${JSON.stringify(link)} is no name of a link`);
  return `"${link}"`;
}

/** Elements of the table's sets by name, and `rule` when its rule is there. */
async function list(runner: CommandRunner): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const found = new Map<string, readonly unknown[]>();
  try {
    const { stdout } = await runner.run('nft', ['--json', 'list', 'table', ...table.split(' ')]);
    const { nftables } = JSON.parse(stdout) as { nftables: { set?: { name: string; elem?: unknown[] }; rule?: object }[] };
    for (const { set, rule } of nftables) {
      if (set) found.set(set.name, set.elem ?? []);
      if (rule) found.set('rule', []);
    }
  } catch (error) {
    if (!(error instanceof CommandError && /No such file or directory/.test(error.stderr))) throw error;
  }
  return found;
}
