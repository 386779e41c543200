import {
  builtInChains,
  defaultReject,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTableName,
  isKnownRule,
  type KnownRule,
} from '../dataplane/iptables.ts';
import { applyIptables, IptablesRefusal } from '../dataplane/iptables-apply.ts';
import type { IptablesOperation } from '../dataplane/iptables-diff.ts';
import { parseRule } from '../dataplane/iptables-parse.ts';
import { printRule } from '../dataplane/iptables-print.ts';
import type { Family } from '../net/index.ts';
import { CommandError, type CommandRunner } from './command-runner.ts';

/** A kernel with iptables of both families and nothing else, behind the commands one drives it with. */
export interface FakeIptables extends CommandRunner {
  /** What the kernel holds. */
  rules(family: Family): IptablesRuleset;
  /** Every accepted restore input, oldest first. */
  readonly restores: { readonly family: Family; readonly input: string }[];
  /** How often iptables-save ran. */
  saves: number;
  /** The next restore fails with this text on standard error. */
  failNext(stderr: string): void;
  /** Changes the rules as somebody else would: an iptables-restore --noflush input. */
  tamper(family: Family, input: string): void;
}

/** Refuses what the kernel and the tools refuse (iptables-nft and iptables-legacy taken together), and does each table of a restore whole or not at all. */
export function createFakeIptables(): FakeIptables {
  const state: Record<Family, IptablesRuleset> = { 4: { family: 4, tables: new Map() }, 6: { family: 6, tables: new Map() } };
  let failure: string | undefined;
  const restore = (family: Family, input: string, test: boolean): void => {
    let next = state[family];
    for (const { table, operations, lines } of readRestore(family, input)) {
      try {
        for (const [index, operation] of operations.entries()) checkRule(table, family, operation, index);
        next = applyIptables(next, { family, tables: [{ table, operations }] });
      } catch (error) {
        if (!(error instanceof IptablesRefusal)) throw error;
        throw new Error(`iptables-restore: line ${lines[error.operation]} failed: ${error.message}`, { cause: error });
      }
      if (!test) state[family] = next;
    }
  };
  const fake: FakeIptables = {
    rules: (family) => state[family],
    restores: [],
    saves: 0,
    failNext: (stderr) => void (failure = stderr),
    tamper: (family, input) => restore(family, input, false),
    async run(command, args, options = {}) {
      const match = /^ip(6?)tables(?:-nft|-legacy)?-(save|restore)$/.exec(command);
      if (!match) throw new CommandError('not-installed', [command, ...args], undefined, '');
      const family = match[1] === '6' ? 6 : 4;
      if (match[2] === 'save') {
        fake.saves++;
        return { stdout: printSave(state[family]), stderr: '', exitCode: 0 };
      }
      if (!args.includes('--noflush')) throw new CommandError('failed', [command, ...args], 2, 'the fake only knows --noflush');
      const input = options.input ?? '';
      try {
        if (failure !== undefined) throw new Error(failure);
        restore(family, input, args.includes('--test'));
      } catch (error) {
        failure = undefined;
        throw new CommandError('failed', [command, ...args], 1, (error as Error).message);
      }
      if (!args.includes('--test')) fake.restores.push({ family, input });
      return { stdout: '', stderr: '', exitCode: 0 };
    },
  };
  return fake;
}

interface TableInput {
  readonly table: IptablesTableName;
  readonly operations: IptablesOperation[];
  /** Line of the input of each operation, counting from 1. */
  readonly lines: number[];
}

function readRestore(family: Family, input: string): TableInput[] {
  const tables: TableInput[] = [];
  let open: TableInput | undefined;
  for (const [index, line] of input.split('\n').entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const fail = (detail: string): never => {
      throw new Error(`iptables-restore: line ${index + 1} failed: ${detail}`);
    };
    if (line.startsWith('*')) {
      if (open || !(line.slice(1) in builtInChains)) fail('bad table');
      open = { table: line.slice(1) as IptablesTableName, operations: [], lines: [] };
    } else if (!open) fail('outside of a table');
    else if (line === 'COMMIT') {
      tables.push(open);
      open = undefined;
    } else {
      open.operations.push(readOperation(family, line) ?? fail('cannot be read'));
      open.lines.push(index + 1);
    }
  }
  if (open) throw new Error('iptables-restore: COMMIT expected');
  return tables;
}

function readOperation(family: Family, line: string): IptablesOperation | undefined {
  const declared = /^:(\S+) -(?: \[\d+:\d+\])?$/.exec(line);
  if (declared) return { op: 'chain', chain: declared[1]! };
  const match = /^-([ADIFX]) (\S+)(?: (.*))?$/.exec(line);
  const [, letter, chain = '', rest = ''] = match ?? [];
  if (letter === 'A') return { op: 'append', chain, rule: parseRule(family, rest) };
  if (letter === 'D') return { op: 'delete', chain, rule: parseRule(family, rest) };
  if (letter === 'F') return { op: 'chain', chain };
  if (letter === 'X') return { op: 'delete-chain', chain };
  const place = /^(?:(\d+) )?(.*)$/.exec(rest);
  return letter === 'I' ? { op: 'insert', chain, position: Number(place?.[1] ?? 1), rule: parseRule(family, place?.[2] ?? '') } : undefined;
}

/** What no version of the tool or kernel takes. */
function checkRule(table: IptablesTableName, family: Family, operation: IptablesOperation, index: number): void {
  const refuse = (detail: string): never => {
    throw new IptablesRefusal(table, index, detail);
  };
  // XT_EXTENSION_MAXNAMELEN: 29 bytes with the closing zero.
  if (operation.chain.length > 28) refuse(`chain name ${operation.chain} is too long (must be under 29 chars)`);
  if (!('rule' in operation)) return;
  if (operation.op === 'delete') return;
  if (!isKnownRule(operation.rule)) return refuse(`unknown option in ${operation.rule.text}`);
  checkKnown(table, family, operation.rule, refuse);
}

function checkKnown(table: IptablesTableName, family: Family, { matches, target }: KnownRule, refuse: (detail: string) => never): void {
  const protocol = matches.find((match) => match.match === 'protocol');
  for (const match of matches) {
    if (match.match === 'dport' || match.match === 'sport' || match.match === 'transport') {
      if (protocol?.protocol !== match.protocol || protocol.not) refuse(`--${match.match} needs -p ${match.protocol}`);
    }
    // XT_MAX_COMMENT_LEN with the closing zero. The tools cut off what is longer: then it would never read back as it was written.
    if (match.match === 'comment' && Buffer.byteLength(match.text) > 255) refuse('comment is too long');
    if (match.match === 'in' && match.interface.length > 15) refuse('interface name is too long');
  }
  for (const side of ['source', 'destination', 'protocol'] as const)
    if (matches.filter(({ match }) => match === side).length > 1) refuse(`multiple -${side[0]} flags not allowed`);
  if ((target?.target === 'dnat' || target?.target === 'snat' || target?.target === 'masquerade') && table !== 'nat')
    refuse(`${target.target} is only for table nat`);
  if (target?.target === 'dnat' && /:\d+$/.test(family === 4 ? target.to : target.to.replace(/^[^[]*$/, '')) && !protocol)
    refuse('need TCP, UDP, SCTP or DCCP with port specification');
  if (target?.target === 'reject') {
    if (table !== 'filter') refuse('REJECT is only for table filter');
    if (target.with.startsWith('icmp6') !== defaultReject(family).startsWith('icmp6') && target.with !== 'tcp-reset')
      refuse(`REJECT with ${target.with} is not of this family`);
  }
}

function printSave({ tables }: IptablesRuleset): string {
  const lines: string[] = [];
  for (const [table, chains] of tables) {
    lines.push('# Generated by the fake', `*${table}`);
    for (const [name, { policy }] of chains) lines.push(`:${name} ${policy ?? '-'} [0:0]`);
    for (const [name, { rules }] of chains) for (const rule of rules) lines.push(`-A ${name} ${printRule(withDefaults(rule))}`);
    lines.push('COMMIT', '# Completed');
  }
  return `${lines.join('\n')}\n`;
}

/** iptables-save prints no prefix that holds every address. */
function withDefaults(rule: IptablesRule): IptablesRule {
  if (!isKnownRule(rule)) return rule;
  return {
    ...rule,
    matches: rule.matches.filter(
      (match) => !((match.match === 'source' || match.match === 'destination') && match.prefix.endsWith('/0') && !match.not),
    ),
  };
}
